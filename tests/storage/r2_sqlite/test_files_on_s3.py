"""r2 mode over a real S3 server: two gateways with stores of their own race for one file."""

from __future__ import annotations

import asyncio
import random

import pytest

from storage.clock import SystemClock
from storage.r2_sqlite.change import change_file
from storage.r2_sqlite.errors import FileMoved
from storage.r2_sqlite.files import R2Files
from storage.r2_sqlite.settings import R2ModeSettings
from storage.r2_sqlite.transition import Event
from tests.servers import S3Server
from tests.storage.objects.stores import s3_store
from tests.storage.r2_sqlite.bucket import ADDRESS, ENV, KEY, add, words


@pytest.mark.system
async def test_two_gateways_keep_every_word_once_and_a_sealed_file_stays(seaweedfs: S3Server) -> None:
    bucket = seaweedfs.new_bucket()
    stores = [s3_store(seaweedfs, bucket) for _ in range(2)]
    settings = R2ModeSettings(save_interval_s=0.0, races_max=50)
    gateways = [
        R2Files(store, ENV, clock=SystemClock(), rng=random.Random(number), settings=settings)
        for number, store in enumerate(stores)
    ]
    try:
        saying = [f"w{number}" for number in range(12)]
        writes = [gateways[number % 2].execute(ADDRESS, add(word), create=True) for number, word in enumerate(saying)]
        answers = await asyncio.gather(*writes)
        assert [answer[-1] for answer in answers] == saying
        assert sorted(await gateways[0].execute(ADDRESS, words)) == sorted(saying)
        look = await gateways[1].look(ADDRESS)
        assert look is not None and len(look.state.nonce) == 32
        for event in (Event.SEAL, Event.CUT_OVER):
            found = await stores[0].get(KEY)
            assert await change_file(stores[0], found, event, clock=SystemClock(), rng=random.Random(7))
        with pytest.raises(FileMoved):
            await gateways[1].execute(ADDRESS, add("late"))
    finally:
        for store in stores:
            await store.close()
