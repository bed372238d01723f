"""How an address is served, and where a call therefore goes: to its actor, or to its file in r2 mode.

The state in the file's own body decides (rule 14). What is remembered here, and the flag where nothing is, only say
where to look first: whoever is asked in vain names the other place, and the call goes there, once more at most
`HOPS_MAX` times, having run nowhere. So a stale flag costs one hop, and two gateways with opposite flags do no harm.

Whoever is asked from here finds user and profile in the context (storage.layout.context).

A call to an actor that was found before costs one look into a dictionary. The first call to an address asks for its
user's flag, and without one looks at the file; without that the user's default profile or the setting decides.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from actors.call import Op, Reply
from actors.errors import InR2Mode, NotInActorMode
from actors.r2mode.router import R2Router
from gateway.router import Router
from storage.errors import HoldfastError
from storage.flags.cache import FlagCache
from storage.flags.flag import ServedMode
from storage.layout.address import Address
from storage.layout.context import serving
from storage.r2_sqlite.errors import ChangingModes, FileMissing, FileMoved
from storage.r2_sqlite.file_state import Mode
from storage.rollout.decision import decide
from storage.rollout.store import RolloutCache

HOPS_MAX = 3
NOT_AN_ACTORS = frozenset({InR2Mode.code, NotInActorMode.code})
# Uploads can be sent once only, so their place is looked up and not remembered.
CONSUMING = frozenset({Op.IMPORT})

Sample = tuple[str, Mapping[str, str], float]

log = logging.getLogger(__name__)


class Reason(StrEnum):
    """What said where to look."""

    FLAG = "flag"
    FILE = "file"
    DEFAULT_PROFILE = "default-profile"
    NEW_USER = "new-user"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an address is served, and why it is looked for there."""

    mode: ServedMode
    reason: Reason

    @property
    def by_actor(self) -> bool:
        """Whether its database is the actor's; in `split` mode what is asked here is the hot part, a file."""
        return self.mode is ServedMode.ACTOR


class Served(Protocol):
    """Who is told how a call is served (the request's context)."""

    mode: str
    mode_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeParts:
    """What a gateway needs to serve more than one mode. `new_users`: how a user without any data starts."""

    files: R2Router
    flags: FlagCache
    rollouts: RolloutCache
    new_users: ServedMode = ServedMode.ACTOR
    addresses_max: int = 100_000


class ModeRouter:
    """See the module. `default_of` names a user's default profile."""

    def __init__(self, parts: ModeParts, actors: Router, default_of: Callable[[str], Awaitable[str]]) -> None:
        self._parts = parts
        self._actors = actors
        self._default_of = default_of
        self._places: dict[Address, Place] = {}
        # Addresses whose actor answered, and why it was asked: whoever calls often may look here and ask it directly,
        # and come here with its refusal.
        self.actors_found: dict[Address, str] = {}
        self._counts = {"lookups": 0, "hops": 0}

    async def call(
        self,
        served: Served,
        address: Address,
        op: Op,
        args: Mapping[str, object],
        body: bytes = b"",
        *,
        stream: AsyncIterator[bytes] | None = None,
        refusal: HoldfastError | None = None,
    ) -> Reply:
        """The answer, from wherever the address is served; `served` is told how and why. Raises HoldfastError.

        Asks where it should be, then where that place points to. `refusal`: the actor has just said that it is not its.
        """
        if refusal is not None:
            self.forget(address)
            place = self._hop(ServedMode.R2)
        else:
            place = await self._where(address, fresh=op in CONSUMING)
        for _ in range(HOPS_MAX):
            await self._tell(served, address, place)
            try:
                reply = await self._ask(place, address, op, args, body, stream)
            except (FileMoved, FileMissing) as error:
                self.forget(address)
                place = await self._after_file(address, error)
                if refusal is not None and place.by_actor and not refusal.retryable:
                    raise ChangingModes(f"{address}: moved while it was looked for", retry_after_s=1.0) from error
                if refusal is not None and place.by_actor:
                    raise refusal from error  # each sends to the other: the actor's generation is not the file's yet
            except HoldfastError as error:
                if error.code not in NOT_AN_ACTORS or not place.by_actor:
                    raise
                self.forget(address)
                if stream is not None:
                    raise ChangingModes(f"{address}: moved while the file was sent", retry_after_s=1.0) from error
                refusal, place = error, self._hop(ServedMode.R2)
            else:
                self._remember(address, place)
                return reply
        raise ChangingModes(f"{address}: moved {HOPS_MAX} times while it was looked for", retry_after_s=1.0)

    def forget(self, address: Address) -> None:
        """Look again at the next call."""
        self._places.pop(address, None)
        self.actors_found.pop(address, None)

    def samples(self) -> Sequence[Sample]:
        """Counts for metrics."""
        files, flags = self._parts.files.files, self._parts.flags
        counts = {
            "r2_loads": files.figures.loads,
            "r2_saves": files.figures.saves,
            "r2_lost_races": files.figures.lost_races,
            "r2_unknown_saves": files.figures.unknown_saves,
            "r2_needs_actor": files.figures.needs_actor,
            "r2_size_infos": files.watch.infos,
            "r2_size_warnings": files.watch.warnings,
            "flag_hits": flags.hits,
            "flag_reads": flags.reads,
            "flag_failures": flags.failures,
            "mode_lookups": self._counts["lookups"],
            "mode_hops": self._counts["hops"],
        }
        shadow = self._parts.files.shadow
        return [
            *((f"holdfast_{name}_total", {}, float(count)) for name, count in counts.items()),
            *(shadow.samples() if shadow is not None else ()),
        ]

    async def _ask(
        self,
        place: Place,
        address: Address,
        op: Op,
        args: Mapping[str, object],
        body: bytes,
        stream: AsyncIterator[bytes] | None,
    ) -> Reply:
        with serving(address):
            if place.by_actor:
                return await self._actors.call(address, op, args, body, stream=stream)
            create = place.reason is not Reason.FILE
            return await self._parts.files.call(address, op, args, body, stream=stream, create=create)

    async def _where(self, address: Address, *, fresh: bool) -> Place:
        """Where to look first. `fresh`: as the file says now, whatever is remembered or flagged."""
        place = None if fresh else self._places.get(address)
        if place is not None:
            return place
        self._counts["lookups"] += 1
        flag = await self._parts.flags.get(address.user)
        if flag is not None and not fresh:
            return Place(flag.mode_of(address.profile), Reason.FLAG)
        found = await self._by_file(address, Reason.FILE)
        if found is not None:
            return found
        if flag is not None:
            return Place(flag.mode_of(address.profile), Reason.FLAG)
        return await self._of_new(address)

    async def _of_new(self, address: Address) -> Place:
        """A profile without a file, of a user without a flag: as the default profile, else by the setting."""
        default = await self._default_of(address.user)
        if default != address.profile:
            found = await self._by_file(Address.parse(address.user, default), Reason.DEFAULT_PROFILE)
            if found is not None:
                return found
        return Place(self._parts.new_users, Reason.NEW_USER)

    async def _by_file(self, address: Address, reason: Reason) -> Place | None:
        """As an address's file says; None without one."""
        look = await self._parts.files.files.look(address)
        if look is None:
            return None
        return Place(ServedMode.ACTOR if look.state.state is Mode.ACTOR else ServedMode.R2, reason)

    async def _after_file(self, address: Address, error: FileMoved | FileMissing) -> Place:
        if isinstance(error, FileMoved):
            return self._hop(ServedMode.ACTOR)
        self._counts["hops"] += 1
        return await self._of_new(address)

    def _hop(self, mode: ServedMode) -> Place:
        """The other place, which the one that was asked has named."""
        self._counts["hops"] += 1
        return Place(mode, Reason.FILE)

    def _remember(self, address: Address, place: Place) -> None:
        self.forget(address)
        self._places[address] = place
        if place.by_actor:
            self.actors_found[address] = place.reason.value
        while len(self._places) > self._parts.addresses_max:
            self.forget(next(iter(self._places)))

    async def _tell(self, served: Served, address: Address, place: Place) -> None:
        """How and why. A user in r2 mode is told what the rollout says of them, too."""
        served.mode, served.mode_reason = place.mode.value, place.reason.value
        if not place.by_actor:
            decision = decide(await self._parts.rollouts.get(), address.user)
            served.mode_reason = f"{place.reason.value}; rollout={decision.reason.value}"
