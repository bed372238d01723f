"""How a file's state may change (rules 13 and 15 to 19), as a table. Pure.

Every change keeps data and ring, and takes a new nonce; the generation grows by one, except from sealing to actor and
when a tombstone takes the place of the sealed data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from storage.errors import StorageError
from storage.r2_sqlite.state import FileState, Mode


class Event(StrEnum):
    """What a migration does to a file."""

    SEAL = "seal"
    ABORT = "abort"
    CUT_OVER = "cut over"
    RETURN = "return"
    REOPEN = "reopen"
    FINALIZE = "finalize"


class WrongState(StorageError):
    """The file is not in a state that allows the change."""

    code = "wrong_file_state"


TRANSITIONS: Mapping[Mode, Mapping[Event, Mode]] = {
    Mode.OPEN: {Event.SEAL: Mode.SEALING},
    Mode.SEALING: {Event.ABORT: Mode.OPEN, Event.CUT_OVER: Mode.ACTOR},
    Mode.ACTOR: {Event.RETURN: Mode.RETURNING, Event.FINALIZE: Mode.ACTOR},
    Mode.RETURNING: {Event.REOPEN: Mode.OPEN},
}
SAME_GENERATION = frozenset({Event.CUT_OVER, Event.FINALIZE})


def next_state(state: FileState, event: Event, *, nonce: str) -> FileState:
    """The state after `event`. Raises WrongState naming both."""
    target = TRANSITIONS[state.state].get(event)
    if target is None:
        raise WrongState(f"{event.value}: the file is {state.state.value!r} of generation {state.gen}")
    gen = state.gen if event in SAME_GENERATION else state.gen + 1
    return replace(state, state=target, gen=gen, nonce=nonce)
