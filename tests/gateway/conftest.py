"""The fixture that most tests of the gateway begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.gateway.kit import Bench, bench


@pytest.fixture
async def gateway() -> AsyncIterator[Bench]:
    """A running gateway without tokens, over a memory store."""
    async with bench() as made:
        yield made
