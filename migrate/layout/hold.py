"""Whether a user's layout move forbids moving that user to an actor.

On its way back a user's file is sealed and stays so, for the old service writes the old place again. That seal is not
the beginning of a cut-over: whoever drives cut-overs asks here first.
"""

from __future__ import annotations

from storage.errors import ObjectNotFound
from storage.layout.move_record import MoveState, decode_record, record_key, user_unit
from storage.objects.port import ObjectStore

HOLDING = frozenset({MoveState.COPYING, MoveState.PUBLISHING, MoveState.ROLLING_BACK, MoveState.ROLLED_BACK})


async def layout_hold(store: ObjectStore, env: str, user: str) -> MoveState | None:
    """The state of the user's layout move if it forbids a move to an actor, else None. One GET."""
    key = record_key(env, user_unit(user))
    try:
        record = decode_record((await store.get(key)).body, key)
    except ObjectNotFound:
        return None
    return record.state if record.state in HOLDING else None
