"""Everything that calls Ray: starting it, naming hosts, finding them, keeping worker processes warm.

Ray starts hosts, keeps their names unique and starts them again when they die; its word that one is dead is a hint and
never decides who owns an actor. Hosts are named, detached actors with max_restarts=-1. A host publishes its endpoint in
the cluster's key-value store as soon as it listens: a call to an actor that was just killed takes Ray two seconds to
fail, the new endpoint is there within half a second.

Facts of Ray 2.60 this file leans on, seen and not documented: a worker process that ran a task is never used for an
actor; one that was started for an actor which is killed before it arrives stays behind, idle and fresh (that is how
`warm` makes spares); `worker_niceness` is 15 by default, which would starve hosts beside the gateway.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep
from typing import Any, Final, TypeAlias, TypeVar, cast

import msgspec
import ray
import ray._private.worker
from ray.actor import ActorHandle
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError, RayError
from ray.experimental.internal_kv import (
    _internal_kv_del,
    _internal_kv_get,
    _internal_kv_put,
)
from ray.job_config import JobConfig

from actors.errors import ActorError, HostUnavailable
from actors.hosting.endpoint import Endpoint
from actors.hosting.host_actor import HostActor
from actors.hosting.host_config import HostConfig, HostPlan
from actors.hosting.live import Sample
from actors.hosting.process_registry import ProcessRegistry
from storage.layout.address import Address

NAMESPACE: Final = "holdfast"
KEY_SPACE: Final = b"holdfast"
PLAN_KEY: Final = b"plan"
OBJECT_STORE_BYTES: Final = 80 << 20
POLL_S: Final = 0.02
START_GRACE_S: Final = 0.05
RAY_MESSAGE_CHARS_MAX: Final = 500
_log = logging.getLogger(__name__)
T = TypeVar("T")
Handle: TypeAlias = "ActorHandle[RayHost]"


class RayHost(HostActor):
    """A HostActor that says in the cluster where it listens, and can end its own Ray actor."""

    def __init__(self, config: HostConfig) -> None:
        self._me = ray.get_runtime_context().current_actor
        super().__init__(config)
        endpoint = msgspec.json.encode(self._host.endpoint)
        _internal_kv_put(_endpoint_key(config.name), endpoint, overwrite=True, namespace=KEY_SPACE)

    def retire(self) -> None:
        """End this host for good: it has nobody to serve. The next call to its address makes a new one."""
        _internal_kv_del(_endpoint_key(self._config.name), namespace=KEY_SPACE)
        ray.kill(self._me, no_restart=True)


class RayCluster:
    """One connection of this process to Ray. All methods without `async` block."""

    def __init__(self, *, own: bool, spares: int, registry: ProcessRegistry | None = None) -> None:
        self._own, self._spares, self._registry = own, spares, registry
        self._raylet_pid = _raylet_pid() if own else None
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="holdfast-ray")
        self._warming: asyncio.Task[int] | None = None

    @classmethod
    def start_local(
        cls, *, folder: Path, cpus: int = 2, spares: int = 1, registry: ProcessRegistry | None = None
    ) -> RayCluster:
        """Start Ray on this machine for this process, with token authentication and without dashboard. `folder` has to
        be short (Ray puts sockets 60 characters below it). Its processes are entered in `registry`, so that the next
        service ends them if this one is killed. Raises HostUnavailable."""
        root = str(Path(__file__).resolve().parents[2])
        try:
            ray.init(
                address="local",
                namespace=NAMESPACE,
                num_cpus=cpus,
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                job_config=JobConfig(_py_driver_sys_path=[root]),
                _temp_dir=str(folder),
                _system_config={"worker_niceness": 0, "num_workers_soft_limit": max(cpus, spares)},
            )
        except (RayError, RuntimeError, OSError, ValueError, TimeoutError) as error:
            raise HostUnavailable(f"ray does not start in {folder}: {error}") from error
        _quieten()
        if registry is not None:
            _enter(registry)
        return cls(own=True, spares=spares, registry=registry)

    @classmethod
    def connect(cls, address: str) -> RayCluster:
        """Use the Ray cluster at `address` ("auto": the one this machine belongs to). Raises HostUnavailable."""
        try:
            ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
        except (RayError, RuntimeError, OSError, ValueError, TimeoutError) as error:
            raise HostUnavailable(f"cannot connect to ray at {address}: {error}") from error
        _quieten()
        return cls(own=False, spares=0)

    @property
    def address(self) -> str:
        """For other programs: `ray.init(address=…, namespace="holdfast")`."""
        return str(ray.get_runtime_context().gcs_address)

    async def warm(self) -> int:
        """Have `spares` idle worker processes, if none is left. Returns how many were started. Cheap to call after
        every start of a host: one at a time, and nothing happens while a spare is there."""
        if self._raylet_pid is None or self._spares < 1:
            return 0
        if self._warming is None or self._warming.done():
            self._warming = asyncio.get_running_loop().create_task(self.in_thread(self._warm))
        return await asyncio.shield(self._warming)

    @property
    def alive(self) -> bool:
        """Whether the local Ray's own processes run. Without them Ray ends this process after a minute."""
        return not self._own or _head_runs()

    def hosts(self, plan: HostPlan) -> RayHosts:
        """The finder of this service's hosts. `plan` is published: other Ray programs find and make hosts by it."""
        _internal_kv_put(PLAN_KEY, plan.to_json(), overwrite=True, namespace=KEY_SPACE)
        return RayHosts(self, plan)

    async def in_thread(self, work: Callable[..., T], *args: Any) -> T:
        """Run a blocking Ray call off the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)

    def close(self) -> None:
        """Leave Ray; a local one ends with all its processes."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        ray.shutdown()
        if self._registry is not None:
            self._registry.alive()  # removes the files of those that have ended

    def _warm(self) -> int:
        assert self._raylet_pid is not None, "only a local Ray is warmed"
        if _idle_workers(self._raylet_pid):
            return 0
        spare = ray.remote(num_cpus=0)(_Nobody)
        waiting = [spare.remote() for _ in range(self._spares)]
        sleep(START_GRACE_S)
        for handle in waiting:
            ray.kill(cast("ActorHandle[_Nobody]", handle))
        return len(waiting)


class RayHosts:
    """The HostFinder over Ray."""

    def __init__(self, cluster: RayCluster, plan: HostPlan) -> None:
        self._cluster, self._plan = cluster, plan
        self._handles: dict[str, Handle] = {}

    async def find(self, name: str, address: Address, *, not_life: str | None = None) -> Endpoint:
        """Where host `name` listens, started if need be; never the life `not_life`, which is known to be gone. Waits
        until it is there: the caller bounds the time. Raises HostUnavailable when it cannot start."""
        while True:
            handle = await self._handle(name, address)
            asked: asyncio.Future[Mapping[str, Any]] = asyncio.wrap_future(handle.endpoint.remote().future())
            try:
                endpoint = await self._await_endpoint(name, asked, not_life)
            except (ActorUnavailableError, ActorDiedError) as error:
                self._gone(name, error)
                endpoint = None
            except RayError as error:
                raise HostUnavailable(f"host {name}: {error}") from error
            finally:
                asked.cancel()
            if endpoint is not None:
                return endpoint
            await asyncio.sleep(POLL_S)

    async def stop(self, name: str) -> list[str]:
        """Drain host `name` and end its process. Returns the addresses it could not release. A host that is not there
        is no error."""
        handle = self._handles.pop(name, None) or await self._cluster.in_thread(_existing, name)
        if handle is None:
            return []
        try:
            unreleased = cast(list[str], await asyncio.wrap_future(handle.stop.remote().future()))
        except RayActorError:
            unreleased = []
        await self._cluster.in_thread(_end, name, handle)
        return unreleased

    async def stop_all(self) -> list[str]:
        """Drain and end every host of this service, all at once."""
        names = await self._cluster.in_thread(_host_names)
        return [address for left in await asyncio.gather(*(self.stop(name) for name in names)) for address in left]

    async def ping(self, name: str) -> Mapping[str, object] | None:
        """How host `name` is, None if it does not run."""
        return cast(Mapping[str, object] | None, await self._look(name, "ping"))

    async def samples(self, name: str) -> Sequence[Sample]:
        """Numbers of host `name` for metrics; none if it does not run."""
        return cast(Sequence[Sample], await self._look(name, "samples") or ())

    async def _look(self, name: str, method: str) -> object:
        handle = self._handles.get(name) or await self._cluster.in_thread(_existing, name)
        if handle is None:
            return None
        try:
            return cast(object, await asyncio.wrap_future(getattr(handle, method).remote().future()))
        except ActorDiedError:
            self._handles.pop(name, None)
            return None
        except RayActorError:
            return None

    async def _handle(self, name: str, address: Address) -> Handle:
        handle = self._handles.get(name)
        if handle is None:
            config = self._plan.config_of(name, address)
            try:
                handle = await self._cluster.in_thread(_get_or_create, config)
            except (RayError, ValueError) as error:
                raise HostUnavailable(f"host {name} cannot be made: {error}") from error
            self._handles[name] = handle
        return handle

    async def _await_endpoint(
        self, name: str, asked: asyncio.Future[Mapping[str, Any]], not_life: str | None
    ) -> Endpoint | None:
        """What the host published or answers, whichever comes first."""
        while True:
            published = await self._cluster.in_thread(_published, name)
            if published is not None and published.life_id != not_life:
                return published
            done, _ = await asyncio.wait({asked}, timeout=POLL_S)
            if done:
                answered = Endpoint(**asked.result())
                return answered if answered.life_id != not_life else None

    def _gone(self, name: str, error: RayActorError) -> None:
        """The actor is restarting (ask again), or dead for good: its name is free again, unless it could not start."""
        if isinstance(error, ActorDiedError):
            self._handles.pop(name, None)
            if "creation task" in str(error) or "__init__" in str(error):
                raise HostUnavailable(f"host {name} does not start: {error}") from error


class UserActor:
    """One user's actor for other Ray programs. `execute.remote(sql, params, …)` as HostActor.execute."""

    def __init__(self, handle: Handle, address: Address) -> None:
        self.handle, self.address = handle, address
        self.execute = _BoundMethod(handle.execute, address)


class _BoundMethod:
    """A method of a host that is told whose database is meant."""

    def __init__(self, method: Any, address: Address) -> None:
        self._method, self._address = method, address

    def remote(self, *args: object, **options: object) -> Any:
        """Submit the call; an ObjectRef for ray.get or await."""
        return self._method.remote(*args, user=self._address.user, profile=self._address.profile, **options)


def user_actor(user: str, profile: str = "default") -> UserActor:
    """The actor of a user's profile, from any Ray program that is connected to the service's cluster. Blocks while its
    host starts. Raises HostUnavailable where no service runs, InvalidId."""
    address = Address.parse(user, profile)
    if not ray.is_initialized():
        raise HostUnavailable("not connected to ray: call ray.init(address=…) first")
    plan_text = _internal_kv_get(PLAN_KEY, namespace=KEY_SPACE)
    if plan_text is None:
        raise HostUnavailable("no Holdfast service runs on this ray cluster")
    plan = HostPlan.from_json(plan_text)
    return UserActor(_get_or_create(plan.config_of(plan.name_of(address), address)), address)


class _Nobody:
    """An actor that never lives: asking for it leaves a fresh worker process behind."""


def _get_or_create(config: HostConfig) -> Handle:
    maker = ray.remote(RayHost).options(
        name=config.name,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        max_restarts=-1,
        max_task_retries=0,
        max_concurrency=1000,
        num_cpus=0,
    )
    return cast(Handle, maker.remote(config))


def _existing(name: str) -> Handle | None:
    try:
        return ray.get_actor(name, namespace=NAMESPACE)
    except ValueError:
        return None


def _end(name: str, handle: Handle) -> None:
    _internal_kv_del(_endpoint_key(name), namespace=KEY_SPACE)
    ray.kill(handle, no_restart=True)


def _host_names() -> list[str]:
    actors = ray.util.list_named_actors(all_namespaces=True)
    names = [actor["name"] for actor in actors if actor["namespace"] == NAMESPACE]
    return [name for name in names if name.startswith(("user/", "host/"))]


def _published(name: str) -> Endpoint | None:
    text = _internal_kv_get(_endpoint_key(name), namespace=KEY_SPACE)
    return None if text is None else msgspec.json.decode(text, type=Endpoint)


def _endpoint_key(name: str) -> bytes:
    return b"endpoint/" + name.encode()


def _enter(registry: ProcessRegistry) -> None:
    """Write down the processes of a local Ray; those that end meanwhile need no entry."""
    for pid in registry.descendants(os.getpid()):
        try:
            registry.register(f"ray/{pid}", pid)
        except ActorError:
            continue


def _raylet_pid() -> int | None:
    """The local raylet, parent of all worker processes."""
    node = ray._private.worker._global_node
    found: list[Any] = [] if node is None else node.all_processes.get("raylet", [])
    return found[0].process.pid if found else None


def _head_runs() -> bool:
    node = ray._private.worker._global_node
    if node is None:
        return False
    processes = [info.process for kind in ("gcs_server", "raylet") for info in node.all_processes.get(kind, [])]
    return bool(processes) and all(process.poll() is None for process in processes)


def _idle_workers(raylet_pid: int) -> list[int]:
    """Worker processes that serve nobody. As this file runs no tasks, they are fresh ones."""
    idle = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes()
            status = (folder / "stat").read_text()
        except OSError:
            continue
        if title.startswith(b"ray::IDLE") and int(status[status.rindex(")") + 2 :].split()[1]) == raylet_pid:
            idle.append(int(folder.name))
    return idle


def _quieten() -> None:
    """Ray prints a paragraph to standard output for every worker that dies; it goes to the log instead."""

    def to_log(data: Mapping[str, Any], ignore_prefix: bool = False) -> None:
        text = " ".join(str(line) for line in data.get("lines", ()))
        _log.info("ray: %s", text.partition(" To troubleshoot the problem")[0][:RAY_MESSAGE_CHARS_MAX])

    ray._private.worker.print_to_stdstream = to_log
