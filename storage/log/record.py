"""One record of an actor's log, and the state that a run of records adds up to. Pure.

PROTOCOL section 1: what each record carries, which epoch is open, who may have served.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum


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
    """E of the protocol: the last epoch that may have served. `closed`: a RELEASE or HANDOVER of it follows."""

    epoch: int
    claim_id: str
    machine_id: str
    ttl_s: float
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Lineage:
    """Epoch `epoch` continued the log at commit `base`: what older epochs had above it was lost (rule 12)."""

    epoch: int
    base: int


LINEAGE_LENGTH_MAX = 64


@dataclass(frozen=True, slots=True)
class LogState:
    """Fold of slots 1..last_slot. `life` is the last IMPORT or CLOSE, `gen` its generation."""

    last_slot: int = 0
    epoch_max: int = 0
    last_commit: int = 0
    open: OpenEpoch | None = None
    life: Kind | None = None
    gen: int = 0
    lineage: tuple[Lineage, ...] = ()

    def advance(self, record: Record) -> LogState:
        """State after one more slot."""
        slot = self.last_slot + 1
        epoch_max = max(self.epoch_max, record.epoch)
        last_commit = max(self.last_commit, record.commits[1]) if record.commits else self.last_commit
        state = replace(self, last_slot=slot, epoch_max=epoch_max, last_commit=last_commit)
        if record.kind in LIFE:
            return replace(state, life=record.kind, gen=record.gen, open=None)
        if record.kind in OPENED:
            opened = OpenEpoch(record.epoch, record.claim_id, record.machine_id, record.ttl_s)
            lineage = self.lineage
            if record.kind is not Kind.SEGMENT:
                lineage = (*lineage, Lineage(record.epoch, record.base))[-LINEAGE_LENGTH_MAX:]
            return replace(state, open=opened, lineage=lineage)
        if record.kind in (Kind.RELEASE, Kind.HANDOVER) and self.open and self.open.epoch == record.epoch:
            return replace(state, open=replace(self.open, closed=True))
        return state

    def advance_all(self, records: Iterable[Record]) -> LogState:
        state = self
        for record in records:
            state = state.advance(record)
        return state


class InvalidMetadata(ValueError):
    """Object metadata that no record of this version writes."""


METADATA_PREFIX = "holdfast-"
FORMAT_VERSION = 1


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
        "commits": f"{record.commits[0]}-{record.commits[1]}" if record.commits else "",
    }
    return {METADATA_PREFIX + key: value for key, value in fields.items()}


def record_from_metadata(metadata: Mapping[str, str]) -> Record:
    """The record, or `InvalidMetadata` saying what is missing, wrong or newer than this version."""
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
            commits=(int(first), int(last)) if fields["commits"] else None,
            base=int(fields["base"]),
        )
    except InvalidMetadata:
        raise
    except ValueError as error:
        raise InvalidMetadata(f"metadata of a record: {error}") from error


_FIELDS = ("format", "kind", "epoch", "claim-id", "put-id", "machine", "ttl-s", "gen", "base", "commits")
