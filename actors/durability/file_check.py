"""What database.sqlite says about how an address is served (rules 3, 13 and 22)."""

from __future__ import annotations

from actors.durability.parts import Parts
from actors.errors import InR2Mode
from storage.errors import ObjectNotFound
from storage.layout.address import Address
from storage.layout.keys import database_key
from storage.objects.settle import PUT_ID_KEY, Settled, put_settled
from storage.r2_sqlite.file_state import (
    FileState,
    Mode,
    read_state,
    state_from_metadata,
    state_metadata,
    tombstone_body,
)

CONTENT_TYPE = "application/vnd.sqlite3"


async def check_file(parts: Parts, address: Address) -> FileState | None:
    """The file's state, None where there is none yet. Raises InR2Mode for a file that r2 mode may write.

    Metadata repeat the body's state; a file without them was written by somebody else, and its body decides.
    """
    key = database_key(parts.env, address)
    try:
        state = state_from_metadata((await parts.store.head(key)).metadata)
        if state is None:
            state = read_state((await parts.store.get(key)).body)
    except ObjectNotFound:
        return None
    if state.state is Mode.OPEN:
        raise InR2Mode(f"user {address.user}, profile {address.profile}: database.sqlite is served in r2 mode")
    return state


async def create_tombstone(parts: Parts, address: Address) -> FileState:
    """Rule 22: the sealed file that a new address in actor mode begins with. Finds another's and goes on with it."""
    put_id = parts.new_id()
    state = FileState(Mode.ACTOR, gen=1, nonce=parts.new_id())
    outcome = await put_settled(
        parts.store,
        database_key(parts.env, address),
        tombstone_body(state),
        put_id=put_id,
        clock=parts.clock,
        rng=parts.rng,
        metadata={**state_metadata(state), PUT_ID_KEY: put_id},
        if_none_match="*",
    )
    if isinstance(outcome, Settled):
        return state
    found = await check_file(parts, address)
    return found if found is not None else await create_tombstone(parts, address)
