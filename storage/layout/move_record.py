"""How far one unit of the flat layout (a user, or all games) has moved, as a document in the bucket. Pure.

    {env}/layout/flat/users/{user}/record.json      the record, changed by compare-and-swap alone
    {env}/layout/flat/users/{user}/inventory.json   what lay in the old place when it was last copied
    {env}/layout/flat/games/…                       the same two for the games

States, and what is where in each:
    copying       the old place counts; copies are being made
    publishing    everything is copied and compared; the user's documents are being written
    switched      the new place counts; the old one is kept, and its keys resolve to the new ones
    finalizing    the old place is being deleted
    finalized     it is gone
    rolling_back  the new place is closed for writing; what changed there goes back
    rolled_back   the old place counts again; nothing of the new one was deleted
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from storage.errors import CorruptObject, UnsupportedVersion

FORMAT_VERSION = 1
GAMES_UNIT = "games"
PLACED_MAX = 32


class MoveState(StrEnum):
    COPYING = "copying"
    PUBLISHING = "publishing"
    SWITCHED = "switched"
    FINALIZING = "finalizing"
    FINALIZED = "finalized"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"


TRANSITIONS: dict[MoveState, frozenset[MoveState]] = {
    MoveState.COPYING: frozenset({MoveState.COPYING, MoveState.PUBLISHING}),
    MoveState.PUBLISHING: frozenset({MoveState.COPYING, MoveState.PUBLISHING, MoveState.SWITCHED}),
    MoveState.SWITCHED: frozenset({MoveState.SWITCHED, MoveState.FINALIZING, MoveState.ROLLING_BACK}),
    MoveState.FINALIZING: frozenset({MoveState.FINALIZED}),
    MoveState.FINALIZED: frozenset(),
    MoveState.ROLLING_BACK: frozenset({MoveState.ROLLING_BACK, MoveState.ROLLED_BACK}),
    MoveState.ROLLED_BACK: frozenset({MoveState.COPYING}),
}
RESOLVING = frozenset({MoveState.SWITCHED, MoveState.FINALIZING})


class Tally(msgspec.Struct, frozen=True):
    """Objects and their bytes."""

    objects: int = 0
    bytes: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.objects + other.objects, self.bytes + other.bytes)


NOTHING = Tally()


class Placed(msgspec.Struct, frozen=True):
    """A database that was put into its new place, or was about to be: `settled` says that the put was answered."""

    source: str
    source_etag: str
    target_etag: str
    settled: bool = False


class MoveRecord(msgspec.Struct, frozen=True):
    """`profile` takes the user's flat files ("" for games). `sealed` is the generation with which a way back closed
    each profile's file. `before` and `after` are counted when the unit was switched."""

    state: MoveState
    profile: str
    run: str
    at: str
    by: str = ""
    before: Tally = NOTHING
    after: Tally = NOTHING
    placed: tuple[Placed, ...] = ()
    sealed: dict[str, int] = {}
    format: int = FORMAT_VERSION

    def moved_to(self, state: MoveState, **changes: object) -> MoveRecord:
        """The record in another state. A move that TRANSITIONS does not know is a mistake of ours."""
        if state not in TRANSITIONS[self.state]:
            raise AssertionError(f"layout record: no way from {self.state.value} to {state.value}")
        return msgspec.structs.replace(self, state=state, **changes)

    def with_placed(self, placed: Placed) -> MoveRecord:
        """With one more put of a database, or a settled one in place of the same unsettled one."""
        kept = [p for p in self.placed if (p.source, p.target_etag) != (placed.source, placed.target_etag)]
        return msgspec.structs.replace(self, placed=(*kept, placed)[-PLACED_MAX:])


def user_unit(user: str) -> str:
    """Name of a user's unit in keys and reports."""
    return f"users/{user}"


def records_prefix(env: str) -> str:
    """All records of an environment; ends in `/`."""
    return f"{env}/layout/flat/"


def record_key(env: str, unit: str) -> str:
    return f"{records_prefix(env)}{unit}/record.json"


def inventory_key(env: str, unit: str) -> str:
    return f"{records_prefix(env)}{unit}/inventory.json"


def encode_record(record: MoveRecord) -> bytes:
    return msgspec.json.format(_encoder.encode(record), indent=2)


def decode_record(body: bytes, what: str) -> MoveRecord:
    """The record, or CorruptObject, or UnsupportedVersion; `what` is for the message."""
    try:
        version = _version_decoder.decode(body).format
        if version > FORMAT_VERSION:
            raise UnsupportedVersion(f"{what}: format {version}, this Holdfast reads up to {FORMAT_VERSION}")
        return _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise CorruptObject(f"{what}: {error}") from error


class _Version(msgspec.Struct):
    format: int


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(MoveRecord)
_version_decoder = msgspec.json.Decoder(_Version)
