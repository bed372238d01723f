"""The record of one user's migration, `{env}/migrations/users/{user}.json`. No I/O.

It says who moves this user where and how far that has come, for people and for drivers that resume. It never decides
what is safe: that is read from the file's body and the log. `goal` is what the last command wanted; a driver with
another goal leaves the user alone. States per profile:

    r2 -> sealing -> importing -> verifying -> actor
    actor (or any before it) -> rolling_back -> rolled_back -> sealing -> ...
    r2, sealing, importing, verifying -> quarantined -> sealing -> ...

The state of the user is that of the profile that is farthest from its goal.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from migrate.decision import Goal
from storage.errors import CorruptObject, UnsupportedVersion

FORMAT_VERSION = 1


class UserState(StrEnum):
    """See the module."""

    R2 = "r2"
    SEALING = "sealing"
    IMPORTING = "importing"
    VERIFYING = "verifying"
    ACTOR = "actor"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    QUARANTINED = "quarantined"


_FORWARD = frozenset({UserState.SEALING, UserState.IMPORTING, UserState.VERIFYING, UserState.ACTOR})
_BACK = frozenset({UserState.ROLLING_BACK, UserState.ROLLED_BACK, UserState.QUARANTINED})
# Another driver may have done any number of steps since a state was written down, so steps may be skipped, but never
# to the other side of a finished move without passing its first state.
TRANSITIONS: Mapping[UserState, frozenset[UserState]] = {
    UserState.R2: _FORWARD | _BACK,
    UserState.SEALING: _FORWARD | _BACK,
    UserState.IMPORTING: _FORWARD | _BACK,
    UserState.VERIFYING: _FORWARD | _BACK,
    UserState.ACTOR: frozenset({UserState.ACTOR, UserState.ROLLING_BACK, UserState.ROLLED_BACK}),
    UserState.ROLLING_BACK: frozenset({UserState.ROLLING_BACK, UserState.ROLLED_BACK}) | _FORWARD,
    UserState.ROLLED_BACK: _FORWARD | _BACK,
    UserState.QUARANTINED: _FORWARD | _BACK,
}
FINISHED = frozenset({UserState.R2, UserState.ACTOR, UserState.ROLLED_BACK, UserState.QUARANTINED})
_FARTHEST_FIRST = (
    UserState.ROLLING_BACK,
    UserState.SEALING,
    UserState.IMPORTING,
    UserState.VERIFYING,
    UserState.QUARANTINED,
    UserState.R2,
    UserState.ROLLED_BACK,
    UserState.ACTOR,
)


class WrongStep(ValueError):
    """A state that cannot follow another."""


class ProfileRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far one profile has come. Times are Unix seconds of the driver that wrote them; they decide nothing.

    `etag` is the sealed file's after the cut-over: whoever changes it later wrote past the gateway.
    """

    state: UserState
    gen: int = 0
    bytes: int = 0
    etag: str = ""
    reason: str = ""
    pause_s: float | None = None
    sealed_at: float | None = None
    moved_at: float | None = None
    finalized_at: float | None = None


class UserRecord(msgspec.Struct, frozen=True):
    """See the module. `revision` grows with every change, so that no two versions are the same bytes."""

    user: str
    goal: Goal
    profiles: dict[str, ProfileRecord] = msgspec.field(default_factory=dict)
    run: str = ""
    by: str = ""
    at: float = 0.0
    revision: int = 0
    format: int = FORMAT_VERSION

    @property
    def state(self) -> UserState:
        found = {profile.state for profile in self.profiles.values()}
        return next((state for state in _FARTHEST_FIRST if state in found), UserState.R2)

    @property
    def finished(self) -> bool:
        return all(profile.state in FINISHED for profile in self.profiles.values())

    def with_profile(self, name: str, changed: ProfileRecord) -> UserRecord:
        """The record after one profile came farther. Raises WrongStep."""
        before = self.profiles.get(name)
        if before is not None and changed.state is not before.state and changed.state not in TRANSITIONS[before.state]:
            raise WrongStep(
                f"user {self.user}, profile {name}: {changed.state.value} cannot follow {before.state.value}"
            )
        return msgspec.structs.replace(self, profiles={**self.profiles, name: changed})

    def profile(self, name: str) -> ProfileRecord:
        """What is written of a profile; of one never moved, that it is in r2 mode."""
        return self.profiles.get(name) or ProfileRecord(UserState.R2)


def encode_record(record: UserRecord) -> bytes:
    """The document, readable for people. It repeats the state, for whoever reads it without this module."""
    document: dict[str, object] = {"state": record.state.value, **msgspec.to_builtins(record)}
    return msgspec.json.format(msgspec.json.encode(document), indent=2)


def decode_record(body: bytes, what: str) -> UserRecord:
    """The record, or CorruptObject naming `what` it was read from; UnsupportedVersion for a newer one's."""
    try:
        record = msgspec.json.decode(body, type=UserRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptObject(f"{what}: {error}") from error
    if record.format > FORMAT_VERSION:
        raise UnsupportedVersion(f"{what}: format {record.format}, this version reads {FORMAT_VERSION}")
    return record
