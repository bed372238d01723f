"""Writers that repeat a write under its key until they see its success."""

from __future__ import annotations

import asyncio
import random

import httpx
import pytest

from holdfast.demo.ledger import Ledger
from holdfast.demo.writers import Tally, Writer, percentile_ms
from holdfast.testing import FakeClock


class ImpatientClock(FakeClock):
    """Sleeping takes no time, but counts."""

    async def sleep(self, seconds: float) -> None:
        self._now += seconds
        await asyncio.sleep(0)


def a_writer(http: httpx.AsyncClient, ledger: Ledger, tally: Tally) -> Writer:
    return Writer(
        http=http,
        url=lambda: "http://service",
        user="ana",
        name="0",
        games_count=3,
        ledger=ledger,
        tally=tally,
        clock=ImpatientClock(),
        rng=random.Random(1),
    )


async def test_a_write_is_repeated_under_its_key_until_acknowledged() -> None:
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["idempotency-key"])
        if len(keys) == 1:
            raise httpx.ReadError("gone", request=request)
        return httpx.Response(200 if len(keys) == 3 else 503)

    ledger, tally = Ledger(), Tally()
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        await a_writer(http, ledger, tally).write("k", asyncio.Event())
    assert keys == ["k", "k", "k"]
    assert (ledger.acknowledged, ledger.unknown) == ({"k"}, set())
    assert (tally.repeated, len(tally.latencies_s)) == (2, 1)


async def test_a_write_that_time_ran_out_for_stays_unknown() -> None:
    stop, ledger = asyncio.Event(), Ledger()
    stop.set()
    transport = httpx.MockTransport(lambda request: httpx.Response(503))
    async with httpx.AsyncClient(transport=transport) as http:
        await a_writer(http, ledger, Tally()).write("k", stop)
    assert (ledger.acknowledged, ledger.unknown) == (set(), {"k"})


async def test_a_refusal_that_repetition_cannot_mend_is_an_error() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(400, text="no such table"))
    async with httpx.AsyncClient(transport=transport) as http:
        with pytest.raises(RuntimeError, match="HTTP 400 no such table"):
            await a_writer(http, Ledger(), Tally()).write("k", asyncio.Event())


def test_percentiles_are_in_milliseconds() -> None:
    assert percentile_ms([], 50) == 0.0
    assert percentile_ms([number / 1000 for number in range(100)], 99) == pytest.approx(99)
