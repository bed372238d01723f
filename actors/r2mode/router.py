"""The Router of addresses in r2 mode: every call loads the file, runs, and saves what changed.

Answers are those of an actor, with two differences that follow from the mode: `durability` is always `r2`, because an
answered write is in the bucket, and `bookmark` is null. What needs a live owner answers NeedsActorMode. FileMoved and
FileMissing say that the address is not this router's to serve: the caller looks elsewhere, nothing was run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import msgspec

from actors.call import Call, Durability, Op, Reply
from actors.database.export import export_chunks
from actors.database.stream import open_stream
from actors.errors import NeedsActorMode, OutcomeUnknownWrite
from actors.model.sql_turn import Scene, SqlTurn, durability_of
from actors.model.transfer import LINES_TYPE, SQLITE_TYPE, read_upload
from actors.r2mode.execution import import_file, read_image, run_sql
from actors.r2mode.shadow import ShadowReads
from actors.settings import ActorSettings
from storage.clock import Clock
from storage.errors import HoldfastError, InvalidRequest
from storage.layout.address import Address
from storage.r2_sqlite.errors import ChangingModes, FileMissing, FileMoved, SaveUnknown
from storage.r2_sqlite.file_state import Mode
from storage.r2_sqlite.files import R2Files


@dataclass(frozen=True, slots=True)
class _Asked:
    """One call. `create`: a missing file may be begun."""

    address: Address
    op: Op
    args: Mapping[str, object]
    body: bytes
    stream: AsyncIterator[bytes] | None
    create: bool


class R2Router:
    """Implements `gateway.router.Router` for addresses whose file is `open`."""

    def __init__(
        self,
        files: R2Files,
        *,
        settings: ActorSettings,
        file_bytes_max: int,
        clock: Clock,
        shadow: ShadowReads | None = None,
    ) -> None:
        """`shadow`, which compares a share of the reads, is closed with the router."""
        database = settings.database
        self._database = replace(database, database_bytes_max=min(database.database_bytes_max, file_bytes_max))
        self._settings = replace(settings, database=self._database, durability=Durability.R2)
        self._clock = clock
        self.files = files
        self.shadow = shadow
        self._handlers: Mapping[Op, Callable[[_Asked], Awaitable[Reply]]] = {
            Op.SQL: self._sql,
            Op.SQL_STREAM: self._rows,
            Op.EXPORT: self._export,
            Op.IMPORT: self._import,
            Op.STATUS: self._status,
            Op.FLUSH: self._flush,
            Op.RELEASE: self._release,
        }

    async def call(
        self,
        address: Address,
        op: Op,
        args: Mapping[str, object],
        body: bytes = b"",
        *,
        stream: AsyncIterator[bytes] | None = None,
        create: bool = False,
    ) -> Reply:
        """See gateway.router. Raises FileMoved and FileMissing before anything was run or taken from `stream`."""
        handler = self._handlers.get(op, self._refuse)
        try:
            return await handler(_Asked(address, op, args, body, stream, create))
        except SaveUnknown as error:
            raise OutcomeUnknownWrite(error.message, details=error.details) from error

    async def close(self) -> None:
        """Nothing is kept open between calls but shadow reads under way."""
        if self.shadow is not None:
            await self.shadow.close()

    async def _refuse(self, asked: _Asked) -> Reply:
        """What only an actor can do, asked of an address that has none (one that has is the caller's to find)."""
        await self._open_file(asked, reading=True)
        self.files.figures.needed_actor(asked.address.user)
        raise NeedsActorMode(f"{asked.op.value}: {asked.address} is served in r2 mode, only an actor can do this")

    async def _sql(self, asked: _Asked) -> Reply:
        turn = self._turn(asked)
        scene = Scene(self._clock.wall(), self._settings.idempotency_ttl_s, lambda wrote: None)
        run = partial(run_sql, turn=turn, scene=scene, settings=self._database)
        shadow = self.shadow
        glance = shadow.glance(turn) if shadow is not None else None
        if shadow is None or glance is None:
            answer = await self.files.execute(asked.address, run, create=asked.create)
        else:
            answer = await self.files.execute(asked.address, glance.over(run), create=asked.create)
            shadow.begin(asked.address, turn, glance, answer.body)
        return Reply(answer.body, headers=answer.headers)

    async def _rows(self, asked: _Asked) -> Reply:
        turn = self._turn(asked)
        read = partial(read_image, settings=self._database)
        image = await self.files.execute(asked.address, read, create=asked.create)
        return Reply(
            stream=await open_stream(image, self._database, turn.batch, shape=turn.shape), content_type=LINES_TYPE
        )

    async def _export(self, asked: _Asked) -> Reply:
        read = partial(read_image, settings=self._database)
        image = await self.files.execute(asked.address, read, create=asked.create)
        return Reply(stream=export_chunks(image), content_type=SQLITE_TYPE)

    async def _import(self, asked: _Asked) -> Reply:
        replacing = asked.args.get("replace", False)
        if not isinstance(replacing, bool):
            raise InvalidRequest(f"replace {replacing!r}: expected true or false")
        durability_of(asked.args, Durability.R2)
        await self._open_file(asked)  # before anything is taken from the stream
        call = Call(asked.op, asked.args, asked.body, _nobody, _nobody, asked.stream)
        data = await read_upload(call, self._database.database_bytes_max)
        run = partial(import_file, data=data, settings=self._database, replace=replacing, wall=self._clock.wall())
        try:
            size = await self.files.execute(asked.address, run, create=asked.create)
        except (FileMoved, FileMissing) as error:
            # The upload is consumed: the caller cannot carry it elsewhere, but its own caller can send it again.
            raise ChangingModes(f"{asked.address}: moved while the file arrived", retry_after_s=1.0) from error
        return _json(imported=True, size_bytes=size, bookmark=None, durability=Durability.R2.value)

    async def _status(self, asked: _Asked) -> Reply:
        look = await self.files.look(asked.address)
        if look is None:
            if not asked.create:
                raise FileMissing(f"{asked.address}: there is no file")
            return _json(address=str(asked.address), mode="r2", state=Mode.OPEN.value, generation=0, size_bytes=0)
        if look.state.state is Mode.ACTOR:
            raise FileMoved(f"{asked.address}: served by its actor", retry_after_s=1.0)
        return _json(
            address=str(asked.address),
            mode="r2",
            state=look.state.state.value,
            generation=look.state.gen,
            size_bytes=look.size,
            since=look.modified_at,
            version=look.etag,
        )

    async def _flush(self, asked: _Asked) -> Reply:
        """Everything that was answered is in the bucket already."""
        await self._open_file(asked, reading=True)
        return _json(bookmark=None, durability=Durability.R2.value)

    async def _release(self, asked: _Asked) -> Reply:
        """Nobody owns a file."""
        return _json(released=True)

    async def _open_file(self, asked: _Asked, *, reading: bool = False) -> None:
        """Raise unless the file may be written (or read) now."""
        look = await self.files.look(asked.address)
        if look is None:
            if not asked.create:
                raise FileMissing(f"{asked.address}: there is no file")
            return
        mode = look.state.state
        if mode is Mode.ACTOR:
            raise FileMoved(f"{asked.address}: served by its actor", retry_after_s=1.0)
        if mode is Mode.RETURNING or (mode is Mode.SEALING and not reading):
            raise ChangingModes(f"{asked.address}: {mode.value}", retry_after_s=1.0)

    def _turn(self, asked: _Asked) -> SqlTurn:
        """The request, whatever durability it asks for: this mode's is `r2`."""
        return replace(SqlTurn.decode(asked.args, asked.body, self._settings), level=Durability.R2)


def _json(**fields: object) -> Reply:
    return Reply(msgspec.json.encode(fields))


def _nobody(_answer: Reply | HoldfastError) -> None:
    """The upload's reader answers nobody."""
