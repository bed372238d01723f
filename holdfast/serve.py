"""The service from its settings: what is wired to what, in which order it starts, and how it stops.

Order of the start: the lock on the data directory, the address to listen on, the object store and its probe, the end of
what a killed service left behind (before any claim, rule 2), Ray, router, gateway; journals without owner are settled
in the background (rule 6). The stop goes the same way back: requests under way are answered, every host flushes and
releases, the lock goes last.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import socket
import time
from collections.abc import Callable
from importlib import metadata

from actors.durability.local_disk import LocalDisk
from actors.hosting.directory import HostRouter
from actors.hosting.host_config import HostConfig, HostPlan
from actors.hosting.process_registry import ProcessRegistry
from actors.hosting.ray_cluster import RayCluster
from actors.source import ActorConfig, ActorSource
from gateway.app import create_app
from gateway.log_erasure import LogErasure
from gateway.modes import ModeParts
from gateway.parts import GatewayParts
from gateway.server import listen, serve
from holdfast.data_lock import DataLock
from holdfast.flat_keys import warn_of_flat_keys
from holdfast.greeting import greeting
from holdfast.host_logs import LineReceiver, to_stderr
from holdfast.hosts import ServiceHosts
from holdfast.local_secret import local_secret
from holdfast.migrations import RouterDoor, ServiceMigrations, migration_parts
from holdfast.modes import open_modes
from holdfast.process_group import children_apart
from holdfast.settings import Settings
from holdfast.short_folder import ShortFolder
from storage.clock import SystemClock
from storage.errors import HoldfastError
from storage.layout.context import set_app_env
from storage.objects.build import open_store
from storage.objects.port import ObjectStore
from storage.objects.presign import LinkSigner
from storage.objects.probe import probe_store

LEFTOVERS_TIMEOUT_S = 10.0
ABORT_WAIT_S = 1.0
WATCH_S = 1.0
SPARES = 1
SOURCE = "actors.source:open_source"
LOGS = "holdfast.host_logs:send_logs"
STOPPING = "stopping: everything is flushed first; a second signal ends at once, and the journals keep the rest"

log = logging.getLogger(__name__)


class Service:
    """One service on one data directory. `run` returns when `stop` was set and everything is flushed.

    `ray_ended` tells afterwards that Ray went first: the process then has to leave without Ray's own goodbye;
    `ended_unasked` that nobody had asked for a stop.
    """

    def __init__(self, settings: Settings, *, say: Callable[[str], None]) -> None:
        """Takes the lock and the address. Raises Busy, AddressInUse, BindRefused, OSError."""
        self._settings = settings
        self._say = say
        self._clock = SystemClock()
        self._rng = random.Random()
        self._local_dir = settings.service.local_dir
        self._lock = DataLock(self._local_dir)
        guarded = settings.gateway.guarded
        self._listener = listen(settings.service.host, settings.service.port, guarded=guarded)
        self._registry = ProcessRegistry(self._local_dir / "run")
        self._folder: ShortFolder | None = None
        self.ray_ended = self.ended_unasked = False

    @property
    def url(self) -> str:
        """Where it listens."""
        return _url(self._listener)

    async def run(self, stop: asyncio.Event, *, on_running: Callable[[], None]) -> list[str]:
        """Start, serve until `stop`, drain. The addresses that could not be released; their journals stay.

        `on_running` is called once Ray runs: Ray has put handlers of its own on signals by then.
        """
        set_app_env(self._settings.app_env, self._settings.service.data_dir)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._lock.release)
            stack.callback(self._listener.close)
            store = await self._open_store(stack)
            if ended := self.end_processes():
                log.info("processes that an earlier service left were ended", extra={"count": ended})
            cluster, hosts = self._start_hosts(stack)
            on_running()
            await hosts.prepare()
            router = self._open_router(stack, hosts)
            modes = open_modes(stack, store, self._settings, clock=self._clock, rng=self._rng)
            application = create_app(self._parts(store, router, hosts, modes))
            works = (
                self._settle_journals(),
                self._stop_when_ended(cluster, stop),
                warn_of_flat_keys(store, self._settings),
            )
            beside = [asyncio.create_task(work) for work in works]
            try:
                await serve(application, self._listener, stop=stop, started=self._greet)
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
                unreleased = await self._drain(cluster, hosts)
            return unreleased

    def end_processes(self, *, timeout_s: float = LEFTOVERS_TIMEOUT_S) -> int:
        """SIGKILL what still runs of this data directory's hosts and their Ray. How many. Raises LeftoverAlive."""
        return len(self._registry.end_leftovers(timeout_s=timeout_s, now=time.monotonic, sleep=time.sleep))

    def abort(self) -> None:
        """End what this service started, at once and without flushing. The process has to end after this."""
        with contextlib.suppress(HoldfastError):
            self.end_processes(timeout_s=ABORT_WAIT_S)
        if self._folder is not None:
            self._folder.remove()

    async def _drain(self, cluster: RayCluster, hosts: ServiceHosts) -> list[str]:
        """Flush and release everything, through the hosts; or, where Ray ends before that, from their journals."""
        self._say(STOPPING)
        draining = asyncio.create_task(hosts.drain())
        watching = asyncio.create_task(self._until_ended(cluster))
        await asyncio.wait((draining, watching), return_when=asyncio.FIRST_COMPLETED)
        watching.cancel()
        if draining.done() and (cluster.alive or draining.exception() is None):
            return draining.result()
        draining.cancel()
        log.error("ray has ended: its hosts are ended, and their journals shipped from here")
        self.ray_ended = True
        self.end_processes()
        await self._settle_journals()
        return []

    async def _until_ended(self, cluster: RayCluster) -> None:
        while cluster.alive:
            await self._clock.sleep(WATCH_S)

    async def _stop_when_ended(self, cluster: RayCluster, stop: asyncio.Event) -> None:
        """Stop in good order when Ray is gone: it would end this process without one."""
        await self._until_ended(cluster)
        self.ended_unasked = not stop.is_set()
        stop.set()

    async def _open_store(self, stack: contextlib.AsyncExitStack) -> ObjectStore:
        secret = local_secret(self._local_dir, "links")
        links = LinkSigner(secret, self.url)
        store = open_store(self._settings.store, clock=self._clock, rng=self._rng, links=links)
        stack.push_async_callback(store.close)
        await probe_store(store, self._settings.app_env, self._clock, self._rng)
        return store

    def _start_hosts(self, stack: contextlib.AsyncExitStack) -> tuple[RayCluster, ServiceHosts]:
        folder = self._folder = ShortFolder(self._local_dir)
        stack.callback(folder.remove)
        sockets = folder.path / "s"
        stack.callback(LineReceiver(sockets, to_stderr).close)
        with children_apart():
            cluster = RayCluster.start_local(folder=folder.path / "r", spares=SPARES, registry=self._registry)
        self._tell_ray_address(stack, cluster.address)
        stack.callback(self.end_processes)
        stack.callback(lambda: None if self.ray_ended else cluster.close())
        plan = HostPlan(placement=self._settings.placement, config=self._host_config(str(sockets)))
        return cluster, ServiceHosts(cluster, cluster.hosts(plan), self._settings.placement)

    def _tell_ray_address(self, stack: contextlib.AsyncExitStack, address: str) -> None:
        """For other Ray programs on this machine, which may see several clusters (docs/http.md, "From Ray")."""
        path = self._local_dir / "ray-address"
        path.write_text(address + "\n")
        stack.callback(lambda: path.unlink(missing_ok=True))

    def _host_config(self, socket_folder: str) -> HostConfig:
        return HostConfig(
            secret=local_secret(self._local_dir, "hosts"),
            machine=self._machine(),
            source=SOURCE,
            source_config=self._actor_config().to_mapping(),
            logs=LOGS,
            socket_folder=socket_folder,
            run_folder=str(self._local_dir / "run"),
            settings=self._settings.host,
        )

    def _actor_config(self) -> ActorConfig:
        return ActorConfig(
            env=self._settings.app_env,
            store=self._settings.store,
            state_root=str(self._local_dir / self._settings.app_env),
            settings=self._settings.actors,
        )

    def _machine(self) -> str:
        """Identity of the journals' disk, made here once before hosts could race for it."""
        disk = LocalDisk(self._local_dir / self._settings.app_env)
        try:
            return disk.machine_id
        finally:
            disk.close()

    def _open_router(self, stack: contextlib.AsyncExitStack, hosts: ServiceHosts) -> HostRouter:
        router = HostRouter(
            hosts,
            self._settings.placement,
            secret=local_secret(self._local_dir, "hosts"),
            machine=self._machine(),
            nonce=lambda: os.urandom(32),
            clock=self._clock,
            settings=self._settings.router,
        )
        stack.push_async_callback(router.close)
        return router

    def _parts(self, store: ObjectStore, router: HostRouter, hosts: ServiceHosts, modes: ModeParts) -> GatewayParts:
        env, retention_s = self._settings.app_env, self._settings.actors.retention_s
        return GatewayParts(
            router=router,
            store=store,
            env=env,
            erasure=LogErasure(router, store, env, clock=self._clock, rng=self._rng, retention_s=retention_s),
            settings=self._settings.gateway,
            clock=self._clock,
            modes=modes,
            migrations=self._migrations(store, router, modes),
            link_secret=None if self._settings.s3.bucket else local_secret(self._local_dir, "links"),
            hosts_ready=hosts.report,
            host_metrics=hosts.samples,
            version=_version(),
        )

    def _migrations(self, store: ObjectStore, router: HostRouter, modes: ModeParts) -> ServiceMigrations:
        flags = modes.flags
        parts = migration_parts(
            store,
            self._settings,
            flags.store,
            RouterDoor(router),
            clock=self._clock,
            rng=self._rng,
            by="service",
        )
        return ServiceMigrations(parts, figures=modes.files.files.figures, flags=flags)

    async def _settle_journals(self) -> None:
        """Rule 6 for journals whose actor nobody has asked for since its host died."""
        source = ActorSource(self._actor_config())
        try:
            settled = await source.settle_journals()
        except HoldfastError as error:
            log.warning("journals not settled: %s", error.message)
        else:
            if settled:
                log.info("journals settled", extra={"count": len(settled)})
        finally:
            await source.close()

    def _greet(self) -> None:
        for line in greeting(self._settings, self.url):
            self._say(line)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _version() -> str:
    try:
        return metadata.version("holdfast")
    except metadata.PackageNotFoundError:
        return "0"
