"""What happened in one run: requests and answers, objects that landed, accidents. The invariants judge this alone.

Times are true seconds of the simulation. `replied_at` is when the host let an answer go, `answered_at` when the client
had it: an answer in between is on its way, and may be lost with its process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from actors.call import Durability
from storage.log.record import Record

RANK = {Durability.MEMORY: 0, Durability.LOCAL: 1, Durability.R2: 2}


class Outcome(Enum):
    """How a request ended for its client."""

    PENDING = "pending"
    OK = "ok"
    NOT_RUN = "every attempt was refused before it ran"
    UNKNOWN = "ran or not, nobody can say"


@dataclass(slots=True)
class Reply:
    """One answer as the host let it go. `seen` are the writes in a read's answer (a write's: itself)."""

    address: str
    host: str
    level: Durability
    write: int | None
    sent_at: float
    replied_at: float
    seen: frozenset[int]
    epoch: int
    commit: int
    answered_at: float | None = None
    log_commit: int = 0
    journal_commit: int | None = None


@dataclass(slots=True)
class Write:
    """One write of the workload: a row with its number."""

    number: int
    address: str
    level: Durability
    sent_at: float
    outcome: Outcome = Outcome.PENDING
    reply: Reply | None = None
    bookmark: str | None = None


@dataclass(slots=True)
class Waited:
    """A client asked whether a write's bookmark is durable. `code` is None for yes."""

    write: int
    level: Durability
    answered_at: float
    code: str | None


@dataclass(frozen=True, slots=True)
class Landed:
    """A slot of a log, as it landed."""

    at: float
    address: str
    slot: int
    record: Record


@dataclass(frozen=True, slots=True)
class Hindrance:
    """A machine could not do its work for a while: paused, cut off, down, slow."""

    machine: str
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class MachineLost:
    """The machine is gone with its disk."""

    machine: str
    at: float


@dataclass(slots=True)
class Final:
    """One address at the end, when everything healed: what an owner reads, what the bucket alone gives.

    `orphans`: the commit numbers in each kept journal, by claim-id.
    """

    rows: Mapping[int, int]
    owner_pages: Mapping[int, bytes] | None
    bucket_pages: Mapping[int, bytes]
    bucket_rows: Mapping[int, int]
    orphans: Mapping[str, frozenset[int]]


@dataclass(slots=True)
class History:
    """Everything the judges get. `limits` are the settings that bound what may be lost."""

    flush_interval_s: float
    ttl_s: float
    grace_s: float
    writes: list[Write] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    waited: list[Waited] = field(default_factory=list)
    landed: list[Landed] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    hindrances: list[Hindrance] = field(default_factory=list)
    lost_machines: list[MachineLost] = field(default_factory=list)
    final: dict[str, Final] = field(default_factory=dict)
    healed_at: float = float("inf")
    numbers: int = 0

    def next_number(self) -> int:
        """A number for a write that no other ever had."""
        self.numbers += 1
        return self.numbers

    def forget(self) -> None:
        """Another life begins: nothing of what was said before is owed any more."""
        for told in (self.writes, self.replies, self.waited, self.landed):
            told.clear()

    def slots(self, address: str) -> list[Landed]:
        """The slots of one log in the order they landed."""
        return [landed for landed in self.landed if landed.address == address]

    def hindered_s(self, machine: str, since: float, until: float) -> float:
        """For how many seconds of a window the machine was hindered, counted once where hindrances overlap."""
        spans = sorted(
            (max(hindrance.since, since), min(hindrance.until, until))
            for hindrance in self.hindrances
            if hindrance.machine == machine and hindrance.since < until and hindrance.until > since
        )
        total, reached = 0.0, since
        for start, end in spans:
            total += max(0.0, end - max(start, reached))
            reached = max(reached, end)
        return total
