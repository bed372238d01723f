"""A process that can be killed: real activations over one machine's disk and a shared store.

`kill` is SIGKILL: from then on nothing it does reaches store, disk or client, its flocks are free, and what it had
written is on the disk. Answers a client got are in `Ask.reply` or `Ask.error`; a dead process answers nobody.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import msgspec

from actors.activation import Activation, activate
from actors.call import Call, Op, Reply
from actors.durability.disk import Disk, DiskFile, Lock
from actors.durability.group_commit import GroupCommit
from actors.durability.offload import Offload, inline
from actors.durability.parts import Parts
from actors.durability.rules import Rules
from actors.settings import ActorSettings
from storage.errors import HoldfastError
from storage.layout.address import Address
from tests.actors.fake_disk import FakeDisk
from tests.actors.held_store import HeldStore
from tests.actors.virtual_time import VirtualClock

ADDRESS = Address("alice", "main")
ENV = "dev"


class Process:
    """See the module. `machine` is the disk it runs on."""

    def __init__(
        self,
        store: HeldStore,
        machine: FakeDisk,
        *,
        settings: ActorSettings | None = None,
        offload: Offload = inline,
        rules: Rules | None = None,
        seed: int = 0,
        tick_s: float = 0.0,
    ) -> None:
        self.dead = False
        self.machine = machine
        self.locked: set[str] = set()
        clock = VirtualClock(tick_s=tick_s)
        self.parts = Parts(
            store=_ProcessStore(store, self),
            disk=_ProcessDisk(machine, self),
            clock=clock,
            rng=random.Random(f"{machine.machine_id} {seed}"),
            env=ENV,
            settings=settings or ActorSettings(),
            group_commit=GroupCommit(clock),
            offload=offload,
            rules=rules or Rules(),
            host=f"host on {machine.machine_id}",
        )

    async def activate(self, address: Address = ADDRESS) -> Actor:
        """A live actor; raises what activation raises."""
        return Actor(self, await activate(address, self.parts))

    def kill(self) -> None:
        """SIGKILL."""
        self.dead = True
        self.machine.locks -= self.locked


class Ask:
    """A call and its one answer. Await it for the reply; it raises the error."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._answer.add_done_callback(lambda done: done.cancelled() or done.exception())

    def take_reply(self, reply: Reply) -> None:
        if not self._process.dead:
            assert not self._answer.done(), "answered twice"
            self._answer.set_result(reply)

    def take_error(self, error: HoldfastError) -> None:
        if not self._process.dead:
            assert not self._answer.done(), "answered twice"
            self._answer.set_exception(error)

    @property
    def answered(self) -> bool:
        return self._answer.done()

    @property
    def error(self) -> BaseException | None:
        return self._answer.exception() if self._answer.done() else None

    async def reply(self) -> Reply:
        return await asyncio.shield(self._answer)

    async def json(self) -> dict[str, Any]:
        """The reply's body."""
        answer: dict[str, Any] = msgspec.json.decode((await self.reply()).body)
        return answer

    async def rows(self) -> list[list[Any]]:
        """Rows of a SQL reply's last result."""
        rows: list[list[Any]] = (await self.json())["results"][-1]["rows"]
        return rows

    async def bytes(self) -> bytes:
        """A streamed reply, whole."""
        reply = await self.reply()
        assert reply.stream is not None
        return b"".join([chunk async for chunk in reply.stream])


class Actor:
    """A live activation and how a client talks to it."""

    def __init__(self, process: Process, activation: Activation) -> None:
        self.process = process
        self.activation = activation
        self.keeper = activation.keeper

    def ask(self, op: Op, body: bytes = b"", *, stream: AsyncIterator[bytes] | None = None, **args: object) -> Ask:
        """Send a call; its answer comes by itself."""
        ask = Ask(self.process)
        self.activation.submit(Call(op, args, body, ask.take_reply, ask.take_error, stream))
        return ask

    def sql(self, sql: str, *params: object, **args: Any) -> Ask:
        """Send one statement. `args`: durability, idempotency_key, shape."""
        return self.ask(Op.SQL, sql_body(sql, *params), **args)

    def write(self, note: str, **args: Any) -> Ask:
        """Insert a row into the table that `prepared` made."""
        return self.sql("INSERT INTO notes (note) VALUES (?)", note, **args)

    async def notes(self, **args: Any) -> list[str]:
        """Every row, in order."""
        return [row[0] for row in await self.sql("SELECT note FROM notes ORDER BY rowid", **args).rows()]

    async def flush(self) -> None:
        """Everything committed is in the bucket."""
        await self.ask(Op.FLUSH).reply()

    async def status(self) -> dict[str, Any]:
        return await self.ask(Op.STATUS).json()

    async def release(self) -> None:
        await self.activation.release()


def sql_body(sql: str, *params: object) -> bytes:
    """The body of a SQL request."""
    return msgspec.json.encode({"sql": sql, "params": list(params)} if params else {"sql": sql})


async def prepared(process: Process, address: Address = ADDRESS) -> Actor:
    """A live actor with the table `notes`, flushed."""
    actor = await process.activate(address)
    await actor.sql("CREATE TABLE notes (note TEXT)").reply()
    await actor.flush()
    return actor


class _ProcessStore:
    """The store as one process reaches it: not any more, once it is dead."""

    def __init__(self, store: HeldStore, process: Process) -> None:
        self._store = store
        self._process = process

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in ("get", "head", "put", "delete", "list"):
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            if not self._process.dead:
                result = await method(*args, **kwargs)
                if not self._process.dead:
                    return result
            return await asyncio.get_running_loop().create_future()

        return call


class _ProcessDisk(Disk):
    """The machine's disk as one process reaches it."""

    def __init__(self, disk: FakeDisk, process: Process) -> None:
        self._disk = disk
        self._process = process

    @property
    def machine_id(self) -> str:
        return self._disk.machine_id

    def lock(self, name: str) -> Lock:
        lock = self._disk.lock(name)
        self._process.locked.add(name)
        return _ProcessLock(lock, name, self._process)

    def open(self, name: str) -> DiskFile:
        return _ProcessFile(self._disk.open(name), self._process)

    def exists(self, name: str) -> bool:
        return self._disk.exists(name)

    def delete(self, names: Iterable[str]) -> None:
        if not self._process.dead:
            self._disk.delete(names)

    def list(self, prefix: str) -> list[str]:
        return self._disk.list(prefix)


class _ProcessLock(Lock):
    def __init__(self, lock: Lock, name: str, process: Process) -> None:
        self._lock = lock
        self._name = name
        self._process = process

    def release(self) -> None:
        if not self._process.dead:
            self._process.locked.discard(self._name)
            self._lock.release()


class _ProcessFile(DiskFile):
    def __init__(self, file: DiskFile, process: Process) -> None:
        self._file = file
        self._process = process

    def write(self, offset: int, data: bytes) -> None:
        if not self._process.dead:
            self._file.write(offset, data)

    def sync(self) -> None:
        if not self._process.dead:
            self._file.sync()

    async def sync_in_thread(self) -> None:
        if not self._process.dead:
            await self._file.sync_in_thread()

    def read(self) -> bytes:
        return self._file.read()

    def close(self) -> None:
        self._file.close()


def labels(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata of a record without the prefix."""
    return {key.removeprefix("holdfast-"): text for key, text in metadata.items()}
