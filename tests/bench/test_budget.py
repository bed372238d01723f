"""What a read and an insert call on their way through gateway, link, host and activation, against a recorded budget.

Counts, not times: they are the same on a busy machine. A change that makes a request call more turns this red; if it
was meant, `python -m tests.bench.record_budget` writes the new budget, and the change's reviewer sees by how much.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import uvloop

from gateway.rest.direct_exchange import Connection, DirectExchange
from tests.bench.budget import VERSION, Counts, count_now, count_requests, excesses, recorded
from tests.bench.hot_path import hot_path

NO_BUDGET = f"no budget is recorded for Python {VERSION} (python -m tests.bench.record_budget)"
RECORD = "if the change was meant: python -m tests.bench.record_budget"


@pytest.fixture
def budget() -> dict[str, Counts]:
    found = recorded()
    if found is None:
        pytest.skip(NO_BUDGET)
    return found


def test_a_request_calls_no_more_than_its_budget(budget: dict[str, Counts]) -> None:
    found = uvloop.run(count_now())
    assert not excesses(found, budget), f"{RECORD}\n" + "\n".join(excesses(found, budget))


def test_one_more_json_round_trip_of_the_body_is_beyond_the_budget(budget: dict[str, Counts]) -> None:
    """Both ways of noticing: as calls of functions, and as calls of an encoder."""
    found = uvloop.run(_count_with_round_trip())
    complaints = excesses(found, budget)
    for name in budget:
        assert any(text.startswith(f"{name}:") and "python calls" in text for text in complaints), complaints
        assert any(text.startswith(f"{name}:") and "json calls" in text for text in complaints), complaints


def test_an_insert_costs_one_sync_and_a_read_none(budget: dict[str, Counts]) -> None:
    assert (budget["read"]["syncs"], budget["insert"]["syncs"]) == (0, 1)


async def _count_with_round_trip() -> dict[str, Counts]:
    begin = DirectExchange.begin

    def again(self: DirectExchange, connection: Connection, body: bytes, *, keep_alive: bool) -> bool:
        return begin(self, connection, json.dumps(json.loads(body)).encode(), keep_alive=keep_alive)

    with TemporaryDirectory(prefix="hf-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(DirectExchange, "begin", again)
        async with hot_path(Path(folder), patch) as path:
            return await count_requests(path)
