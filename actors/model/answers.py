"""Small answers about an actor's positions: status, waiting for a bookmark, flush."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from actors.call import Call, Durability, Reply
from actors.durability.keeper import Keeper
from actors.errors import NotDurableYet, OutcomeUnknownWrite, WriteLost
from actors.model.position import check_bookmark
from actors.model.sql_turn import durability_of
from storage.errors import HoldfastError, InvalidRequest
from storage.log.bookmark import Bookmark

TIMEOUT_S_MAX = 60.0
TIMEOUT_S = 10.0


def status_body(keeper: Keeper, *, address: str, host: str, since: float, byte_size: int, memory_bytes: int) -> bytes:
    """GET …/status. Sizes in bytes, times in Unix seconds, lags in seconds."""
    gate, state = keeper.gate, keeper.ownership.state
    return msgspec.json.encode(
        {
            "address": address,
            "host": host,
            "mode": "actor",
            "epoch": keeper.ownership.epoch,
            "generation": keeper.ownership.gen,
            "since": since,
            "size_bytes": byte_size,
            "memory_bytes": memory_bytes,
            "committed": _position(keeper, keeper.committed),
            "durable": {
                "local": _position(keeper, max(gate.local, gate.remote)),
                "r2": _position(keeper, gate.remote),
            },
            "log": {
                "slot": state.last_slot,
                "snapshot_slot": keeper.snapshotter.last_slot,
                "flushes": keeper.flusher.flushes,
                "bytes_shipped": keeper.flusher.bytes_shipped,
                "flush_lag_s": keeper.flush_lag_s(),
                "failure": keeper.flusher.failure.message if keeper.flusher.failure else None,
            },
            "waiting_replies": gate.waiting,
        }
    )


def imported_body(keeper: Keeper, *, byte_size: int, level: Durability) -> bytes:
    """PUT …/import."""
    answer = {"imported": True, "size_bytes": byte_size, "bookmark": str(keeper.bookmark), "durability": level.value}
    return msgspec.json.encode(answer)


def drop_of(call: Call, *, wrote: bool) -> Callable[[HoldfastError], None]:
    """What becomes of a call whose reply may not leave: a write ran, and whether it survived is unknown (rule 7e)."""

    def drop(error: HoldfastError) -> None:
        call.fail(OutcomeUnknownWrite(f"the write ran, and whether it survived is unknown: {error.message}"))

    return drop if wrote else call.fail


def answer_flush(keeper: Keeper, call: Call) -> None:
    """POST …/flush: answers when everything committed so far is in the bucket."""
    body = msgspec.json.encode({"bookmark": str(keeper.bookmark), "durability": Durability.R2.value})
    keeper.hold(keeper.committed, Durability.R2, wrote=False, release=lambda: call.reply(Reply(body)), drop=call.fail)


def answer_durable(keeper: Keeper, call: Call, *, default: Durability, by_epoch: bool) -> None:
    """GET …/durable: answers when a bookmark is reached at a level, or 503 after `timeout_s` seconds."""
    level = durability_of({"durability": call.args.get("level")}, default)
    bookmark = Bookmark.parse(_text(call.args, "bookmark"))
    timeout_s = _timeout(call.args)
    ownership = keeper.ownership
    try:
        commit = check_bookmark(
            bookmark, epoch=ownership.epoch, gen=ownership.gen, state=ownership.state, by_epoch=by_epoch
        )
    except WriteLost as error:
        # It leaves like any reply: an owner that somebody has replaced knows nothing of later epochs (rule 7c).
        lost = error
        keeper.hold(keeper.committed, level, wrote=False, release=lambda: call.fail(lost), drop=call.fail)
        return
    body = msgspec.json.encode({"bookmark": str(bookmark), "durability": level.value, "durable": True})
    answered = False

    def release() -> None:
        nonlocal answered
        if not answered:
            answered = True
            timer.cancel()
            call.reply(Reply(body))

    def drop(error: HoldfastError) -> None:
        nonlocal answered
        if not answered:
            answered = True
            timer.cancel()
            call.fail(error)

    timer = keeper.call_later(timeout_s, lambda: drop(_late(bookmark, level, timeout_s)))
    keeper.hold(commit, level, wrote=False, release=release, drop=drop, patience_s=timeout_s)


def _late(bookmark: Bookmark, level: Durability, timeout_s: float) -> NotDurableYet:
    return NotDurableYet(
        f"bookmark {bookmark}: not durable at {level.value!r} within {timeout_s:g} s", retry_after_s=1.0
    )


def _position(keeper: Keeper, commit: int) -> dict[str, Any]:
    return {"commit": commit, "bookmark": str(keeper.bookmark_of(commit))}


def _text(args: Mapping[str, object], name: str) -> str:
    value = args.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"{name} is missing")
    return value


def _timeout(args: Mapping[str, object]) -> float:
    value = args.get("timeout_s", TIMEOUT_S)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= TIMEOUT_S_MAX:
        raise InvalidRequest(f"timeout_s {value!r}: expected a number of seconds from 0 to {TIMEOUT_S_MAX:g}")
    return float(value)
