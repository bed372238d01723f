"""One record of an actor's log, and the state that a run of records adds up to. Pure.

What each record carries (docs/protocol.md), which epoch is open, who may have served.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import msgspec

from storage.errors import UnsupportedVersion


class Kind(StrEnum):
    """Record kinds; `OPENED` ones prove that their epoch served, `LIFE` ones begin or end a life of the log."""

    CLAIM = "claim"
    TAKE = "take"
    OPEN = "open"
    SEGMENT = "segment"
    HANDOVER = "handover"
    RELEASE = "release"
    IMPORT = "import"
    CLOSE = "close"


OPENED = frozenset({Kind.TAKE, Kind.OPEN, Kind.SEGMENT})
LIFE = frozenset({Kind.IMPORT, Kind.CLOSE})


@dataclass(frozen=True, slots=True)
class Record:
    """What one slot says. Pages travel beside it (see `storage.log.segment.Segment`).

    `base` is the log's last commit number when an OPEN or TAKE continued it (rule 12); `commits` the inclusive range of
    commit numbers in the pages (None without pages). `machine_id` names the disk of the journal.
    """

    kind: Kind
    epoch: int
    claim_id: str
    put_id: str
    machine_id: str
    ttl_s: float
    gen: int
    commits: tuple[int, int] | None = None
    base: int = 0


@dataclass(frozen=True, slots=True)
class OpenEpoch:
    """E of the protocol: the last epoch that may have served. `closed`: a RELEASE or HANDOVER of it follows.

    `released`: it was a RELEASE, so nothing of the epoch is missing. A HANDOVER that the machine's agent wrote lacks
    what was only in the memory of a process that died.
    """

    epoch: int
    claim_id: str
    machine_id: str
    ttl_s: float
    closed: bool = False
    released: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """Epoch `epoch` continued the log at commit `base`, and its predecessor `claim_id` had not released: whatever older
    epochs had committed above `base` is lost (rule 12)."""

    epoch: int
    base: int
    claim_id: str


CUTS_MAX = 16


@dataclass(frozen=True, slots=True)
class LogState:
    """Fold of slots 1..last_slot. `life` is the last IMPORT or CLOSE, `gen` its generation.

    `claimed` is the highest epoch of a CLAIM that lies behind the last opened record: somebody may be waiting. Only the
    last `CUTS_MAX` cuts are kept; `forgotten` is the epoch of the newest one that is not: of epochs below it nobody
    knows any more what was lost.
    """

    last_slot: int = 0
    epoch_max: int = 0
    last_commit: int = 0
    open: OpenEpoch | None = None
    life: Kind | None = None
    gen: int = 0
    claimed: int = 0
    cuts: tuple[Cut, ...] = ()
    forgotten: int = 0

    def advance(self, record: Record) -> LogState:
        """State after one more slot."""
        state = replace(
            self,
            last_slot=self.last_slot + 1,
            epoch_max=max(self.epoch_max, record.epoch),
            last_commit=max(self.last_commit, record.commits[1]) if record.commits else self.last_commit,
        )
        if record.kind in LIFE:
            ended = state._cut_off(self.open, record.epoch, self.last_commit)
            return replace(ended, life=record.kind, gen=record.gen, open=None, claimed=0)
        if record.kind in OPENED:
            opened = OpenEpoch(record.epoch, record.claim_id, record.machine_id, record.ttl_s)
            return replace(state._cut_off(self.open, record.epoch, record.base), open=opened, claimed=0)
        if record.kind is Kind.CLAIM:
            return replace(state, claimed=max(self.claimed, record.epoch))
        if self.open and self.open.epoch == record.epoch:
            return replace(state, open=replace(self.open, closed=True, released=record.kind is Kind.RELEASE))
        return state

    def advance_all(self, records: Iterable[Record]) -> LogState:
        """State after several more slots."""
        state = self
        for record in records:
            state = state.advance(record)
        return state

    def lost(self, *, epoch: int, commit: int) -> bool:
        """Whether a commit acknowledged in `epoch` was cut off by a later owner (rule 12)."""
        return any(cut.epoch > epoch and commit > cut.base for cut in self.cuts)

    def _cut_off(self, before: OpenEpoch | None, epoch: int, base: int) -> LogState:
        """Epoch `epoch` goes on from commit `base`, whatever `before` had above it."""
        if before is None or before.released or before.epoch == epoch:
            return self
        cuts = (*self.cuts, Cut(epoch, base, before.claim_id))
        forgotten = cuts[-CUTS_MAX - 1].epoch if len(cuts) > CUTS_MAX else self.forgotten
        return replace(self, cuts=cuts[-CUTS_MAX:], forgotten=forgotten)


def state_text(state: LogState) -> str:
    """A log state as one line of ASCII, for a snapshot's metadata (well under 2 KB)."""
    return msgspec.json.encode(state).decode()


def state_from_text(text: str) -> LogState:
    """The inverse; `InvalidMetadata` for anything else."""
    try:
        return msgspec.json.decode(text, type=LogState)
    except msgspec.DecodeError as error:
        raise InvalidMetadata(f"log state of a snapshot: {error}") from error


class InvalidMetadata(ValueError):
    """Object metadata that no record of this version writes."""


METADATA_PREFIX = "holdfast-"
FORMAT_VERSION = 1
NO_COMMITS = "none"  # some stores drop metadata with an empty value


def record_metadata(record: Record) -> dict[str, str]:
    """Object metadata of a record's segment (S3 user metadata: lower-case keys, ASCII values)."""
    fields = {
        "format": str(FORMAT_VERSION),
        "kind": record.kind.value,
        "epoch": str(record.epoch),
        "claim-id": record.claim_id,
        "put-id": record.put_id,
        "machine": record.machine_id,
        "ttl-s": repr(float(record.ttl_s)),
        "gen": str(record.gen),
        "base": str(record.base),
        "commits": f"{record.commits[0]}-{record.commits[1]}" if record.commits else NO_COMMITS,
    }
    return {METADATA_PREFIX + key: value for key, value in fields.items()}


def record_from_metadata(metadata: Mapping[str, str]) -> Record:
    """The record, or `InvalidMetadata` saying what is missing or wrong. Raises UnsupportedVersion for a newer one."""
    written = metadata.get(METADATA_PREFIX + "format", "")
    if written.isdecimal() and int(written) > FORMAT_VERSION:
        raise UnsupportedVersion(f"record format {written}, this version reads {FORMAT_VERSION}")
    try:
        fields = {key: metadata[METADATA_PREFIX + key] for key in _FIELDS}
    except KeyError as error:
        raise InvalidMetadata(f"metadata key {error.args[0]} is missing") from error
    try:
        if int(fields["format"]) != FORMAT_VERSION:
            raise InvalidMetadata(f"record format {fields['format']}, this version reads {FORMAT_VERSION}")
        first, _, last = fields["commits"].partition("-")
        return Record(
            kind=Kind(fields["kind"]),
            epoch=int(fields["epoch"]),
            claim_id=fields["claim-id"],
            put_id=fields["put-id"],
            machine_id=fields["machine"],
            ttl_s=float(fields["ttl-s"]),
            gen=int(fields["gen"]),
            commits=(int(first), int(last)) if fields["commits"] != NO_COMMITS else None,
            base=int(fields["base"]),
        )
    except InvalidMetadata:
        raise
    except ValueError as error:
        raise InvalidMetadata(f"metadata of a record: {error}") from error


_FIELDS = ("format", "kind", "epoch", "claim-id", "put-id", "machine", "ttl-s", "gen", "base", "commits")
