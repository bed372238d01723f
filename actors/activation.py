"""An actor's live instance: takes calls, runs turns on the database, lets the keeper decide when replies leave.

Sequences other parts and holds no rule of its own: what a request means is in actors.model, what durable means and how
an ownership ends in actors.durability, what SQL may do in actors.database. One call at a time; everything on the host's
event loop, except a turn that outgrew its budget, which blocks this actor's later calls only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any

from actors.call import Call, Durability, Op, Reply
from actors.database.database import Database
from actors.database.deadline import BudgetExceeded
from actors.database.image import PageImage
from actors.durability.keeper import Keeper
from actors.durability.opening import open_ownership
from actors.durability.parts import Parts
from actors.errors import ActivationEnded, DatabaseBroken, DatabaseError
from actors.model.answers import answer_durable, answer_flush, drop_of, imported_body, status_body
from actors.model.birth import apply_schema, template_image
from actors.model.sql_turn import Answer, Scene, SqlTurn, durability_of, veto_of
from actors.model.transfer import CountedStream, export_reply, rows_reply, uploaded_image
from actors.model.turn_queue import TurnQueue
from storage.errors import HoldfastError
from storage.layout.address import Address

INTERRUPTED_WITHIN_S = 1.0


async def activate(address: Address, parts: Parts) -> Activation:
    """Claim, recover, open, bring the schema up to date. Raises HoldfastError; nothing stays behind then."""
    opened = await open_ownership(parts, address, template_image(parts.settings.database))
    try:
        database = Database.open(opened.claimed.image, parts.settings.database, now=parts.clock.now)
    except BaseException:
        opened.lock.release()
        raise
    activation = Activation(address, parts, database)
    activation.keeper = Keeper(
        parts, opened.log, opened.lock, opened.claimed, activation.committed_image, activation.on_end
    )
    try:
        apply_schema(database, now=parts.clock.wall())
        activation.take_commit()
    except BaseException as error:
        await activation.keeper.kill(ActivationEnded(f"actor {address}: its schema could not be applied: {error}"))
        raise
    return activation


class Activation:
    """See the module. Made by `activate`."""

    keeper: Keeper

    def __init__(self, address: Address, parts: Parts, database: Database) -> None:
        self.address = address
        self.ended: asyncio.Future[HoldfastError | None] = asyncio.get_running_loop().create_future()
        self.last_used = parts.clock.now()
        self.since = parts.clock.wall()
        self._parts = parts
        self._settings = parts.settings
        self._database = database
        self._turns = TurnQueue(self._turn, self._spawn)
        self._open = 0
        self._releasing = False
        self._thread: asyncio.Future[Answer] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._handlers: dict[Op, Callable[[Call], None]] = {
            Op.SQL: self._sql,
            Op.SQL_STREAM: self._stream,
            Op.EXPORT: self._export,
            Op.IMPORT: self._import,
            Op.STATUS: self._status,
            Op.DURABLE: self._durable,
            Op.FLUSH: lambda call: answer_flush(self.keeper, call),
            Op.RELEASE: self._release,
        }

    # ---- what hosting uses

    @property
    def memory_bytes(self) -> int:
        """Image, SQLite and what waits to be shipped, in bytes."""
        unflushed = self.keeper.flusher.unflushed()
        return self._database.memory_bytes + (unflushed.byte_size if unflushed else 0)

    @property
    def busy(self) -> bool:
        """Whether an answer is owed."""
        return bool(self._turns.blocked or self._turns or self._open or self.keeper.gate.waiting)

    def submit(self, call: Call) -> None:
        """Run the call's turn now, or queue it behind one that runs in a thread. Answers by the call's callbacks."""
        self.last_used = self._parts.clock.now()
        if self._releasing or self.ended.done() or self.keeper.ownership.fenced:
            call.fail(ActivationEnded(f"actor {self.address} is ending", retry_after_s=0.05))
        else:
            self._turns.put(call)

    async def release(self) -> None:
        """Finish what runs, flush, write RELEASE, end (rule 8)."""
        self._releasing = self._parts.rules.closes_gate_before_release
        await self._turns.wait_idle()
        await self.keeper.release()
        await asyncio.shield(self.ended)

    async def kill(self) -> None:
        """End at once, as soon as the interrupted statement has; the journal keeps what was not shipped."""
        self._releasing = True
        self._turns.refuse_all(ActivationEnded(f"actor {self.address} was ended"))
        self.interrupt()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=INTERRUPTED_WITHIN_S)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.keeper.kill(ActivationEnded(f"actor {self.address} was ended"))

    def interrupt(self) -> None:
        """From any thread: the statement that runs now ends with an error."""
        if not self.ended.done():
            self._database.interrupt()

    def on_end(self, error: HoldfastError | None) -> None:
        """The keeper has ended the ownership: answer what is left, free the database."""
        self._turns.refuse_all(ActivationEnded(f"actor {self.address} ended", retry_after_s=0.05))
        if not self.ended.done():
            self._database.interrupt()
            self.ended.set_result(error)
        if self._thread is None or self._thread.done():
            self._database.close()
        else:  # a fence does not ask what runs: the connection is closed when the turn in a thread is over
            self._thread.add_done_callback(lambda _thread: self._database.close())

    def committed_image(self) -> PageImage | None:
        """The live image while it is exactly what was committed; None while a turn runs in a thread."""
        return None if self._turns.blocked else self._database.file.image

    def take_commit(self) -> bool:
        """Hand what SQLite has just committed to the keeper. Whether there was anything."""
        pages = self._database.take_commit()
        if pages is not None and not self.ended.done():
            self.keeper.commit(pages)
        return pages is not None

    def _turn(self, call: Call) -> None:
        try:
            self._handlers[call.op](call)
        except DatabaseBroken as error:
            self._break(error)
            raise

    def _break(self, error: HoldfastError) -> None:
        """SQLite or its memory failed: the image is of no use any more, the next activation recovers."""
        self._releasing = True
        self._spawn(self.keeper.kill(error))

    # ---- SQL

    def _sql(self, call: Call) -> None:
        turn = SqlTurn.decode(call.args, call.body, self._settings)
        self._database.file.veto = veto_of(self.keeper.refusal())
        scene = Scene(self._parts.clock.wall(), self._settings.idempotency_ttl_s, self._bookmark)
        try:
            answer = turn.run(self._database, scene, budget_s=self._settings.database.inline_budget_s)
        except BudgetExceeded:
            self._turns.aside(self._sql_aside(call, turn, scene), call)
        except DatabaseError as error:
            self._sql_failed(call, turn, error)
        else:
            self._sql_done(call, turn, answer)

    async def _sql_aside(self, call: Call, turn: SqlTurn, scene: Scene) -> None:
        self._thread = asyncio.ensure_future(self._parts.offload(turn.run, self._database, scene, budget_s=None))
        try:
            answer = await asyncio.shield(self._thread)
        except DatabaseError as error:
            self._sql_failed(call, turn, error)
        else:
            self._sql_done(call, turn, answer)

    def _sql_failed(self, call: Call, turn: SqlTurn, error: DatabaseError) -> None:
        """A statement's error tells what is in the database: it leaves like any reply (rule 7c)."""
        if isinstance(error, DatabaseBroken):
            self._break(error)
            call.fail(error)
            return
        self.keeper.hold(
            self.keeper.committed, turn.level, wrote=False, release=lambda: call.fail(error), drop=call.fail
        )

    def _sql_done(self, call: Call, turn: SqlTurn, answer: Answer) -> None:
        wrote = self.take_commit()
        self._answer(call, Reply(answer.body, headers=answer.headers), turn.level, wrote=wrote)

    def _bookmark(self, wrote: bool) -> str:
        return str(self.keeper.bookmark_of(self.keeper.committed + wrote))

    def _answer(self, call: Call, reply: Reply, level: Durability, *, wrote: bool = False) -> None:
        """Let the reply go when everything committed so far is durable at `level`."""
        drop = drop_of(call, wrote=wrote)
        self.keeper.hold(self.keeper.committed, level, wrote=wrote, release=lambda: call.reply(reply), drop=drop)

    # ---- files and streams

    def _stream(self, call: Call) -> None:
        turn = SqlTurn.decode(call.args, call.body, self._settings)
        image, bookmark = self._database.copy_image(), self.keeper.bookmark
        self._answer_later(call, turn.level, lambda: rows_reply(image, turn, self._parts, bookmark))

    def _export(self, call: Call) -> None:
        level = durability_of(call.args, self._settings.durability)
        image, bookmark = self._database.copy_image(), self.keeper.bookmark
        self._answer_later(call, level, lambda: export_reply(image, bookmark))

    def _answer_later(self, call: Call, level: Durability, make: Callable[[], Awaitable[Reply]]) -> None:
        """A streamed reply, begun when the gate lets it; the actor counts as busy until it is over."""
        self._open += 1

        def drop(error: HoldfastError) -> None:
            self._open -= 1
            call.fail(error)

        async def begin() -> None:
            reply = await make()
            assert reply.stream is not None
            call.reply(replace(reply, stream=CountedStream(reply.stream, self._stream_over)))

        def release() -> None:
            self._spawn(begin(), drop)

        self.keeper.hold(self.keeper.committed, level, wrote=False, release=release, drop=drop)

    def _stream_over(self) -> None:
        self._open -= 1

    def _import(self, call: Call) -> None:
        self._turns.aside(self._import_aside(call), call)

    async def _import_aside(self, call: Call) -> None:
        level = durability_of(call.args, self._settings.durability)
        self._check_writable()
        image = await uploaded_image(call, self._database, self._parts)
        self._check_writable()  # the upload took its time
        self.keeper.commit(self._database.replace(image))
        body = imported_body(self.keeper, byte_size=image.byte_size, level=level)
        self._answer(call, Reply(body), level, wrote=True)

    def _check_writable(self) -> None:
        if (refusal := self.keeper.refusal()) is not None:
            raise refusal

    # ---- small answers

    def _status(self, call: Call) -> None:
        body = status_body(
            self.keeper,
            address=str(self.address),
            host=self._parts.host,
            since=self.since,
            byte_size=self._database.file.image.byte_size,
            memory_bytes=self.memory_bytes,
        )
        call.reply(Reply(body))

    def _durable(self, call: Call) -> None:
        default = self._settings.durability
        answer_durable(self.keeper, call, default=default, by_epoch=self._parts.rules.bookmark_has_epoch)

    def _release(self, call: Call) -> None:
        async def run() -> None:
            await self.release()
            call.reply(Reply(b'{"released":true}'))

        self._spawn(run(), call.fail)

    def _spawn(
        self, work: Coroutine[Any, Any, None], failed: Callable[[HoldfastError], None] | None = None
    ) -> asyncio.Task[None]:
        """Run `work` until the end of the actor; `failed` is told if that comes first, or what else went wrong."""

        def over(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if failed is None:
                return
            if task.cancelled():
                failed(ActivationEnded(f"actor {self.address} was ended"))
            elif (error := task.exception()) is not None:
                failed(error if isinstance(error, HoldfastError) else HoldfastError(f"the call failed: {error!r}"))

        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(over)
        return task
