"""What is kept of a deletion until it is over: one small object per profile, so that a killed gateway's work goes on.

    {env}/erasures/{user}/{profile}.json   {"user","profile","whole_user","requested_at","until","remains"}

`until` is null while the deletion is under way, then the time (Unix seconds) up to which the log and the tombstone
are kept (rule 21). Pure.
"""

from __future__ import annotations

from typing import Any

import msgspec

from storage.errors import CorruptObject
from storage.layout.address import Address


class ErasureRecord(msgspec.Struct, frozen=True):
    """One profile's deletion. `remains` is what the actor's side said is kept."""

    user: str
    profile: str
    whole_user: bool
    requested_at: float
    until: float | None = None
    remains: dict[str, Any] = {}

    @property
    def address(self) -> Address:
        return Address.parse(self.user, self.profile)

    def is_over(self, store_time: float) -> bool:
        """Whether nothing of the profile has to be kept any more, by the store's own clock."""
        return self.until is not None and store_time >= self.until


def encode_record(record: ErasureRecord) -> bytes:
    return msgspec.json.encode(record)


def decode_record(body: bytes, key: str) -> ErasureRecord:
    """The record, or CorruptObject."""
    try:
        return msgspec.json.decode(body, type=ErasureRecord)
    except msgspec.MsgspecError as error:
        raise CorruptObject(f"{key}: {error}") from error
