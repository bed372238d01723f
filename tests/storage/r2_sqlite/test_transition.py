"""Rules 13 and 15 to 19: which changes of state there are."""

from __future__ import annotations

import pytest

from storage.r2_sqlite.file_state import FileState, Mode
from storage.r2_sqlite.transition import Event, WrongState, next_state

ALLOWED = {
    (Mode.OPEN, Event.SEAL): (Mode.SEALING, 8),
    (Mode.SEALING, Event.ABORT): (Mode.OPEN, 8),
    (Mode.SEALING, Event.CUT_OVER): (Mode.ACTOR, 7),
    (Mode.ACTOR, Event.RETURN): (Mode.RETURNING, 8),
    (Mode.ACTOR, Event.FINALIZE): (Mode.ACTOR, 7),
    (Mode.RETURNING, Event.REOPEN): (Mode.OPEN, 8),
}


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("event", Event)
def test_a_change_is_one_of_the_six_and_keeps_the_ring(mode: Mode, event: Event) -> None:
    before = FileState(mode, 7, "old", ("a", "b"))
    if (mode, event) in ALLOWED:
        state, gen = ALLOWED[mode, event]
        assert next_state(before, event, nonce="new") == FileState(state, gen, "new", ("a", "b"))
    else:
        with pytest.raises(WrongState, match=f"{event.value}.*{mode.value}.*7"):
            next_state(before, event, nonce="new")
