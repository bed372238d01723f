"""A client without idempotency keys: it sends each write once, and takes the service at its word.

Success means there, `outcome_unknown` or no answer means perhaps, anything else means that the write did not run. A row
that is there although the service said it did not run counts as never written.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from holdfast.demo.ledger import Ledger
from holdfast.demo.season import clip
from storage.clock import Clock

UNKNOWN = "outcome_unknown"
PAUSE_S = 0.02


@dataclass(slots=True, kw_only=True)
class PlainWriter:
    """One client of one user's database."""

    http: httpx.AsyncClient
    url: Callable[[], str]
    user: str
    games_count: int
    ledger: Ledger
    clock: Clock
    rng: random.Random
    number: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Write until `stop` is set."""
        while not stop.is_set():
            self.number += 1
            if not await self._write(f"{self.user}-plain-{self.number}"):
                await self.clock.sleep(PAUSE_S)

    async def _write(self, key: str) -> bool:
        statement = clip(self.rng, key=key, games_count=self.games_count).to_json()
        try:
            answer = await self.http.post(f"{self.url()}/v1/users/{self.user}/sql", json=statement)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return False
        except httpx.HTTPError:
            self.ledger.doubt(key)
            return False
        if answer.status_code == 200:
            self.ledger.acknowledge(key)
            return True
        if answer.json()["code"] == UNKNOWN:
            self.ledger.doubt(key)
        else:
            assert answer.json()["retryable"], answer.text
        return False
