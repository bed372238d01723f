"""Whose turn it is to save: one save at a time per address in this gateway, a second apart where the store wants it.

That is courtesy, not safety: other gateways save as well, and the condition on the ETag decides. But it keeps requests
of one gateway from losing races against each other, and below the store's one write per second and key.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from storage.clock import Clock
from storage.layout.address import Address
from storage.r2_sqlite.errors import TooManyWaiting

LANES_MAX = 4096


class Lane:
    """The saves of one address. `saves` grows with each: a body loaded before the last one is out of date."""

    __slots__ = ("lock", "saves", "sent_at", "users")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.saves = 0
        self.sent_at = float("-inf")
        self.users = 0


class Lanes:
    """The lanes of one gateway, those in use and the last `LANES_MAX` used."""

    def __init__(self, clock: Clock, *, interval_s: float, waiting_max: int) -> None:
        self._clock = clock
        self._interval_s = interval_s
        self._waiting_max = waiting_max
        self._lanes: OrderedDict[Address, Lane] = OrderedDict()

    def of(self, address: Address) -> Lane:
        """The address's lane."""
        lane = self._lanes.get(address)
        if lane is None:
            lane = self._lanes[address] = Lane()
        self._lanes.move_to_end(address)
        if len(self._lanes) > LANES_MAX:
            oldest = next((each for each, other in self._lanes.items() if not other.users), address)
            if oldest != address:
                del self._lanes[oldest]
        return lane

    def is_free(self, lane: Lane) -> bool:
        """Whether a save could be sent at once."""
        return not lane.users and self._clock.now() - lane.sent_at >= self._interval_s

    @asynccontextmanager
    async def turn(self, lane: Lane, address: Address) -> AsyncIterator[None]:
        """Hold the lane. Raises TooManyWaiting."""
        if lane.users > self._waiting_max:
            raise TooManyWaiting(f"{self._waiting_max} writes of {address} wait to be saved", retry_after_s=1.0)
        lane.users += 1
        try:
            async with lane.lock:
                yield
        finally:
            lane.users -= 1

    async def wait(self, lane: Lane) -> None:
        """Until the key may be written again."""
        wait_s = lane.sent_at + self._interval_s - self._clock.now()
        if wait_s > 0:
            await self._clock.sleep(wait_s)

    async def pace(self, lane: Lane) -> None:
        """The same, and the write is about to be sent: for the lane's holder, before every send."""
        await self.wait(lane)
        lane.sent_at = self._clock.now()
