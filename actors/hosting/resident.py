"""One address on this host: its inbox, its activation if it has one, and where it is in its life."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Any

from actors.hosting.eviction import Occupant
from actors.hosting.inbox import Inbox
from actors.hosting.live import LiveActivation
from storage.layout.address import Address


class Stage(Enum):
    """COMING: starting, calls wait. LIVE: serving. LEAVING: being released, calls wait for the next life."""

    COMING = "coming"
    LIVE = "live"
    LEAVING = "leaving"


class Resident:
    """Without an activation while it is coming. `memory_bytes` is what the budget counted last."""

    __slots__ = ("activation", "address", "inbox", "memory_bytes", "since", "stage", "task")

    def __init__(self, address: Address, inbox: Inbox, since: float) -> None:
        self.address, self.inbox, self.since = address, inbox, since
        self.stage = Stage.COMING
        self.activation: LiveActivation | None = None
        self.task: asyncio.Task[Any] | None = None
        self.memory_bytes = 0

    def occupant(self) -> Occupant | None:
        """Itself as the budget sees it, if it is live; counted afresh."""
        activation = self.activation
        if activation is None or self.stage is not Stage.LIVE:
            return None
        self.memory_bytes = activation.memory_bytes
        idle = self.inbox.open_calls == 0 and not activation.busy
        return Occupant(self.address, self.memory_bytes, activation.last_used, idle)
