"""What a profile's `database.sqlite` says of itself, as a value (rule 13). Pure. How it is written: file_state.py."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

RING_LENGTH_MAX = 64


class Mode(StrEnum):
    """Who may write the file's user: the r2 mode (`open`), nobody yet or any more, the actor."""

    OPEN = "open"
    SEALING = "sealing"
    ACTOR = "actor"
    RETURNING = "returning"


@dataclass(frozen=True, slots=True)
class FileState:
    """State, generation (+1 at each change except sealing to actor), nonce, and the last put-ids, newest last."""

    state: Mode = Mode.OPEN
    gen: int = 0
    nonce: str = ""
    ring: tuple[str, ...] = ()

    def remember(self, put_id: str, nonce: str) -> FileState:
        """The state that a save with this put-id writes."""
        return replace(self, nonce=nonce, ring=(*self.ring, put_id)[-RING_LENGTH_MAX:])
