"""Clients that write clips as fast as they are answered, and remember what they were told.

Each write carries an idempotency key and is sent again under it until its success is seen, as a careful client does; so
every key that was begun is acknowledged in the end, or stays unknown when time is over.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from holdfast.demo.ledger import Ledger
from holdfast.demo.season import clip
from storage.clock import Clock

REQUEST_TIMEOUT_S = 30.0
PAUSE_FIRST_S = 0.02
PAUSE_MAX_S = 0.5


@dataclass(slots=True)
class Tally:
    """What the writers saw. Times in seconds; `longest_wait_s` is the longest until a success, repetitions included."""

    latencies_s: list[float] = field(default_factory=list)
    repeated: int = 0
    longest_wait_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class Writer:
    """One client of one user's database. `url` is asked before each request: the service may come back elsewhere."""

    http: httpx.AsyncClient
    url: Callable[[], str]
    user: str
    name: str
    games_count: int
    ledger: Ledger
    tally: Tally
    clock: Clock
    rng: random.Random
    number: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Write until `stop` is set."""
        while not stop.is_set():
            self.number += 1
            await self.write(f"{self.user}-{self.name}-{self.number}", stop)

    async def write(self, key: str, stop: asyncio.Event) -> None:
        """One clip, sent until acknowledged or until `stop` is set."""
        statement = clip(self.rng, key=key, games_count=self.games_count).to_json()
        started, pause_s = self.clock.now(), PAUSE_FIRST_S
        self.ledger.doubt(key)
        while True:
            sent = self.clock.now()
            if await self._send(key, statement):
                now = self.clock.now()
                self.ledger.acknowledge(key)
                self.tally.latencies_s.append(now - sent)
                self.tally.longest_wait_s = max(self.tally.longest_wait_s, now - started)
                return
            if stop.is_set():
                return
            self.tally.repeated += 1
            await self.clock.sleep(self.rng.uniform(0, pause_s))
            pause_s = min(2 * pause_s, PAUSE_MAX_S)

    async def _send(self, key: str, statement: dict[str, object]) -> bool:
        """Whether the write was acknowledged. A refusal that repetition cannot mend is an error."""
        try:
            response = await self.http.post(
                f"{self.url()}/v1/users/{self.user}/sql",
                json=statement,
                headers={"idempotency-key": key},
                timeout=REQUEST_TIMEOUT_S,
            )
        except httpx.HTTPError:
            return False
        if response.status_code == 200:
            return True
        if response.status_code in (429, 503):
            return False
        raise RuntimeError(f"write {key}: HTTP {response.status_code} {response.text[:300]}")


def percentile_ms(latencies_s: list[float], percent: float) -> float:
    """The value below which `percent` of the latencies lie, in milliseconds; 0 without any."""
    if not latencies_s:
        return 0.0
    ordered = sorted(latencies_s)
    return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
