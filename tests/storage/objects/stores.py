"""Stores for the tests of this folder: the clock they share, and the cases that the conformance suite runs over."""

from __future__ import annotations

import random
from dataclasses import dataclass

from storage.clock import SystemClock
from storage.objects.port import ListPage, ObjectStore
from storage.objects.s3 import S3Store
from storage.objects.settings import MIB, S3Settings
from tests.servers import S3Server

SMALL_PARTS = 5 * MIB


class QuickClock(SystemClock):
    """The machine's clock, whose sleeps take no time."""

    async def sleep(self, seconds: float) -> None:
        self.slept_s = getattr(self, "slept_s", 0.0) + seconds


@dataclass(frozen=True, slots=True)
class Case:
    """A store under test, and a prefix of its own for one test."""

    name: str
    store: ObjectStore
    prefix: str

    def key(self, path: str) -> str:
        return self.prefix + path

    async def keys(self, prefix: str = "", *, start_after: str = "", limit: int = 1000) -> list[str]:
        """All keys of one page, without this test's prefix."""
        page = await self.page(prefix, start_after=start_after, limit=limit)
        return [info.key.removeprefix(self.prefix) for info in page.objects]

    async def page(self, prefix: str = "", *, start_after: str = "", limit: int = 1000) -> ListPage:
        after = self.key(start_after) if start_after else ""
        return await self.store.list(self.key(prefix), start_after=after, limit=limit)


def s3_store(server: S3Server, bucket: str, **settings: object) -> S3Store:
    """A store on a test server, with multipart limits small enough to be reached."""
    values = {"multipart_above_bytes": 8 * MIB, "part_bytes": SMALL_PARTS, "copy_part_bytes": SMALL_PARTS} | settings
    chosen = S3Settings(bucket=bucket, endpoint=server.endpoint, region=server.region, **values)  # type: ignore[arg-type]
    return S3Store(chosen, SystemClock(), random.Random(1), session=server.session())
