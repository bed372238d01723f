"""Writes snapshots: the whole database at a settled slot, as one object (rule 9).

The image is copied (at pointer cost) when a flush takes its commits; the snapshot is written only after that flush has
settled, from that copy: so it holds slots 1..n and nothing else, whatever was committed since.
"""

from __future__ import annotations

import logging

from actors.database.image import PageImage
from actors.durability.parts import Parts
from actors.durability.recovery import Recovered
from storage.errors import HoldfastError
from storage.log.actor_log import ActorLog
from storage.log.record import LogState
from storage.log.segment import Segment, encode_segment
from storage.log.snapshot import snapshot_due, snapshot_segment

logger = logging.getLogger(__name__)

TAIL_BYTES_MIN = 256 << 10
"""A database smaller than this is weighed as this much: a snapshot every few flushes would cost more than it saves."""


class Snapshotter:
    """Watches the tail of one log."""

    def __init__(self, log: ActorLog, parts: Parts, recovered: Recovered) -> None:
        self._log = log
        self._clock = parts.clock
        self._settings = parts.settings
        self._offload = parts.offload
        self._new_id = parts.new_id
        self._tail_bytes = recovered.tail_bytes
        self._tail_slots = recovered.tail_slots
        self._base_at = recovered.base_ms / 1000 if recovered.base_ms else parts.clock.wall()
        self._frozen: PageImage | None = None
        self._writing = False
        self.written = 0
        self.last_slot = recovered.snapshot_slot

    def after_claim(self, image: PageImage, state: LogState) -> PageImage | None:
        """The ownership begins with `image`, the end of slot `state.last_slot`. A copy of it if the tail is too long:
        whoever is only read adds slots by coming and going, and never flushes."""
        self._tail_slots = state.last_slot - self.last_slot
        return image.copy() if self._tail_slots >= self._settings.snapshot_slots_max else None

    def before_flush(self, live: PageImage, flush_bytes: int) -> None:
        """A flush has taken every commit so far. Keep the image as it is now if the flush will make a snapshot due."""
        due = not self._writing and self._due(live.byte_size, more_bytes=flush_bytes)
        self._frozen = live.copy() if due else None

    def after_flush(self, byte_size: int) -> PageImage | None:
        """The flush settled, `byte_size` bytes. The image to snapshot now, or None."""
        self._tail_bytes += byte_size
        self._tail_slots += 1
        frozen, self._frozen = self._frozen, None
        return frozen

    async def write(self, image: PageImage, state: LogState, *, epoch: int) -> None:
        """Write the snapshot of slot `state.last_slot`. A failure costs only time: the next flush tries again."""
        self._writing = True
        tail = self._tail_bytes, self._tail_slots
        try:
            segment, body = await self._offload(_encode, image, state.last_slot, epoch, int(self._clock.wall() * 1000))
            if await self._log.put_snapshot(segment, body, state, put_id=self._new_id()):
                self.written += 1
                self.last_slot = state.last_slot
                await self._hint(state.last_slot)
            self._tail_bytes = max(0, self._tail_bytes - tail[0])
            self._tail_slots = max(0, self._tail_slots - tail[1])
            self._base_at = self._clock.wall()
        except HoldfastError as error:
            logger.warning("snapshot failed", extra={"address": str(self._log.address), "error": str(error)})
        finally:
            self._writing = False

    async def _hint(self, slot: int) -> None:
        """Nobody relies on it, so a failure is no reason to write the snapshot again."""
        try:
            await self._log.put_hint(slot)
        except HoldfastError as error:
            logger.info("hint not written", extra={"address": str(self._log.address), "error": str(error)})

    def _due(self, database_bytes: int, *, more_bytes: int) -> bool:
        reason = snapshot_due(
            tail_bytes=self._tail_bytes + more_bytes,
            database_bytes=max(database_bytes, TAIL_BYTES_MIN),
            tail_slots=self._tail_slots + 1,
            age_s=self._clock.wall() - self._base_at,
            slots_max=self._settings.snapshot_slots_max,
            age_max_s=self._settings.snapshot_age_max_s,
        )
        return reason is not None


def _encode(image: PageImage, slot: int, epoch: int, timestamp_ms: int) -> tuple[Segment, bytes]:
    segment = snapshot_segment(
        image.pages, page_size=image.page_size, last_slot=slot, node_id=epoch, timestamp_ms=timestamp_ms
    )
    return segment, encode_segment(segment)
