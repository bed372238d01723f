"""r2 mode: a request loads the user's `database.sqlite`, runs on it, and saves it if it changed (rule 14).

What runs is given as a function from the file's bytes to an answer and, if it changed anything, new bytes; this file
knows no SQL. It promises that a run whose answer was given has happened exactly once, however many sends and lost races
that took: a save carries the id of its request in the ring inside the body, is conditional on the version that was
loaded, and is sent again unchanged, or run again, only where the look at the file proves that it was not stored.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from storage.clock import Clock
from storage.errors import HoldfastError, ObjectNotFound, OutcomeUnknown, PreconditionFailed, Unavailable
from storage.layout.address import Address
from storage.layout.keys import database_key
from storage.objects.backoff import BackoffPolicy
from storage.objects.port import ObjectStore
from storage.objects.settle import PUT_ID_KEY
from storage.r2_sqlite.errors import (
    ChangingModes,
    FileMissing,
    FileMoved,
    FileTooLarge,
    LostRace,
    SaveUnknown,
)
from storage.r2_sqlite.figures import Figures
from storage.r2_sqlite.file_state import FileState, Mode, read_state, state_from_metadata, state_metadata, with_state
from storage.r2_sqlite.lane import Lane, Lanes
from storage.r2_sqlite.rules import FileRules
from storage.r2_sqlite.save_verdict import Verdict, Version, judge_save
from storage.r2_sqlite.settings import R2ModeSettings
from storage.r2_sqlite.size_watch import Level, SizeWatch

CONTENT_TYPE = "application/vnd.sqlite3"
BACKOFF = BackoffPolicy(first_s=0.1, longest_s=2.0)
MISSING = Version(None, FileState())

T = TypeVar("T")
# Runs on a file's bytes (none: there is no file yet). Bytes beside the answer: what the file is to become.
Run = Callable[[bytes], tuple[T, bytes | None]]
Offload = Callable[..., Awaitable[Any]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FileLook:
    """A file as a look without its data shows it. Size in bytes, time in Unix seconds."""

    state: FileState
    etag: str
    size: int
    modified_at: float


@dataclass(frozen=True, slots=True)
class _Request(Generic[T]):
    """One request. Its put-id is that of every save made for it."""

    address: Address
    key: str
    run: Run[T]
    put_id: str
    create: bool


@dataclass(frozen=True, slots=True)
class _Attempt(Generic[T]):
    """One run upon one version: what to answer, and what to save (None: nothing changed)."""

    base: Version
    answer: T
    body: bytes | None
    state: FileState


class R2Files:
    """The files of one environment, as one gateway serves them. `offload` runs work on whole files off the loop."""

    def __init__(
        self,
        store: ObjectStore,
        env: str,
        *,
        clock: Clock,
        rng: random.Random,
        settings: R2ModeSettings,
        offload: Offload = asyncio.to_thread,
        rules: FileRules | None = None,
    ) -> None:
        self._store = store
        self._env = env
        self._clock = clock
        self._rng = rng
        self._settings = settings.validate()
        self._offload = offload
        self._rules = rules or FileRules()
        self._room = asyncio.Semaphore(settings.files_at_once)
        self._lanes = Lanes(clock, interval_s=settings.save_interval_s, waiting_max=settings.saves_waiting_max)
        self.watch = SizeWatch(settings)
        self.figures = Figures(settings.users_watched_max)

    async def look(self, address: Address) -> FileLook | None:
        """The file's state and size, without its data; None if there is none. Raises CorruptObject, Unavailable."""
        key = database_key(self._env, address)
        try:
            info = await self._store.head(key)
            state = state_from_metadata(info.metadata)
            if state is None:  # written by somebody else: the body says it, or says nothing
                version, _ = await self._load(address, key)
                state = version.state
        except ObjectNotFound:
            return None
        return FileLook(state, info.etag, info.size, info.modified_at)

    async def execute(self, address: Address, run: Run[T], *, create: bool = False) -> T:
        """Run `run` upon the file and save what it changed; its answer. `create`: a file that is missing is begun.

        Raises what `run` raises, with nothing kept, and the errors of storage.r2_sqlite.errors.
        """
        request = _Request(address, database_key(self._env, address), run, self._new_id(), create)
        lane = self._lanes.of(address)
        async with self._room:
            saves = lane.saves
            attempt = await self._load_and_run(request)
            if attempt.body is None:
                return attempt.answer
            if self._lanes.is_free(lane) and lane.saves == saves:
                async with self._lanes.turn(lane, address):
                    return await self._save(request, lane, attempt)
        # Somebody else's save comes first, so this run is out of date: do not keep its bytes while waiting.
        del attempt
        async with self._lanes.turn(lane, address):
            await self._lanes.wait(lane)
            async with self._room:
                attempt = await self._load_and_run(request)
                return attempt.answer if attempt.body is None else await self._save(request, lane, attempt)

    async def _save(self, request: _Request[T], lane: Lane, attempt: _Attempt[T]) -> T:
        """Carry an attempt to its end, on newer versions while others are faster."""
        user = request.address.user
        for _ in range(self._settings.races_max + 1):
            began_at = self._clock.now()
            lane.saves += 1
            found = await self._send(request, lane, attempt)
            if found is None:
                assert attempt.body is not None
                self.figures.saved(user, len(attempt.body), self._clock.now() - began_at)
                return attempt.answer
            self.figures.lost_race(user)
            attempt = await self._run(request, *found)
            if attempt.body is None:
                return attempt.answer
        raise LostRace(
            f"{request.key}: others saved first, {self._settings.races_max + 1} times in a row",
            retry_after_s=self._settings.retry_after_s,
        )

    async def _send(self, request: _Request[T], lane: Lane, attempt: _Attempt[T]) -> tuple[Version, bytes] | None:
        """Send one body until its end is certain: None if it is stored, else the newer version to run upon.

        Raises SaveUnknown where neither can be proved, Unavailable where nothing was carried out.
        """
        unknown = False
        failure: HoldfastError | None = None
        for failures in range(1, self._settings.sends_max + 1):
            await self._lanes.pace(lane)
            try:
                await self._put(request, attempt)
            except (PreconditionFailed, OutcomeUnknown) as error:
                unknown, failure = True, error
            except HoldfastError as error:  # refused, so not carried out; an earlier send may still have been
                failure = error
                if not isinstance(error, Unavailable):
                    break
            else:
                return None
            try:
                version, body = await self._load(request.address, request.key) if unknown else (attempt.base, b"")
            except HoldfastError as error:
                failure = error
            else:
                verdict = judge_save(version, attempt.base, request.put_id, self._rules)
                if verdict is Verdict.SAVED:
                    return None
                if verdict is Verdict.RUN_AGAIN:
                    return version, body
                if verdict is Verdict.UNKNOWN:
                    break
            await self._clock.sleep(
                BACKOFF.wait_s(failures, self._rng.random(), asked_s=failure.retry_after_s if failure else None)
            )
        assert failure is not None
        if not unknown:
            raise failure
        self.figures.unknown_saves += 1
        raise SaveUnknown(
            f"{request.key}: the write ran, and whether its save was stored is unknown: {failure.message}"
        ) from failure

    async def _put(self, request: _Request[T], attempt: _Attempt[T]) -> None:
        assert attempt.body is not None
        etag = attempt.base.etag
        await self._store.put(
            request.key,
            attempt.body,
            metadata={**state_metadata(attempt.state), PUT_ID_KEY: request.put_id},
            content_type=CONTENT_TYPE,
            if_none_match="*" if etag is None else None,
            if_match=etag,
        )

    async def _load_and_run(self, request: _Request[T]) -> _Attempt[T]:
        try:
            version, body = await self._load(request.address, request.key)
        except ObjectNotFound as error:
            if not request.create:
                raise FileMissing(f"{request.key}: there is no file") from error
            version, body = MISSING, b""
        return await self._run(request, version, body)

    async def _load(self, address: Address, key: str) -> tuple[Version, bytes]:
        """The file, and what its body says. Raises ObjectNotFound, FileTooLarge, CorruptObject, Unavailable."""
        began_at = self._clock.now()
        async with self._store.open(key) as stream:
            size, most = stream.info.size, self._settings.file_bytes_max
            if size > most:
                raise FileTooLarge(f"{key}: {size} bytes, r2 mode takes at most {most}; it has to be migrated")
            body = b"".join([chunk async for chunk in stream.chunks])
            etag = stream.info.etag
        now = self._clock.now()
        state: FileState = await self._offload(read_state, body)
        self.figures.loaded(address.user, size, now - began_at)
        self._notice(address, size, now)
        return Version(etag, state), body

    async def _run(self, request: _Request[T], version: Version, body: bytes) -> _Attempt[T]:
        """Run where the file's state allows it (rule 14). Raises FileMoved, ChangingModes."""
        mode = version.state.state
        if mode is Mode.ACTOR and self._rules.reads_stop_at_cut_over:
            raise FileMoved(f"{request.key}: served by its actor", retry_after_s=self._settings.retry_after_s)
        if mode is Mode.RETURNING:
            raise self._changing(request, "returning from its actor")
        state = version.state.remember(request.put_id, self._new_id())
        answer, new = await self._offload(_run_and_sign, request.run, body, state)
        if new is not None and mode is not Mode.OPEN:
            raise self._changing(request, "being sealed, and takes no writes")
        if new is not None and len(new) > self._settings.file_bytes_max:
            raise FileTooLarge(f"{request.key}: would have {len(new)} bytes, at most {self._settings.file_bytes_max}")
        return _Attempt(version, answer, new, state)

    def _changing(self, request: _Request[T], what: str) -> ChangingModes:
        return ChangingModes(f"{request.key}: {what}", retry_after_s=self._settings.retry_after_s)

    def _notice(self, address: Address, size: int, now: float) -> None:
        notice = self.watch.notice(address.user, size, now)
        if notice is not None:
            level = logging.WARNING if notice.level is Level.WARNING else logging.INFO
            log.log(level, notice.text, extra={"user": address.user, "profile": address.profile, "bytes": size})

    def _new_id(self) -> str:
        return f"{self._rng.getrandbits(128):032x}"


def _run_and_sign(run: Run[T], body: bytes, state: FileState) -> tuple[T, bytes | None]:
    answer, new = run(body)
    return answer, None if new is None else with_state(new, state)
