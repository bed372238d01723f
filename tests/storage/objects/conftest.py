"""One `case` fixture that runs a test over every kind of store."""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from storage.clock import SystemClock
from storage.objects.local import LocalStore
from storage.objects.memory import MemoryStore
from storage.objects.port import ObjectStore
from storage.objects.presign import LinkSigner
from storage.objects.s3 import S3Store
from storage.objects.settings import MIB, S3Settings
from tests.servers import S3Server
from tests.storage.objects.stores import SMALL_PARTS, Case, s3_store

ENDPOINT = "HOLDFAST_TEST_S3_ENDPOINT"
BUCKET = "HOLDFAST_TEST_S3_BUCKET"
REGION = "HOLDFAST_TEST_S3_REGION"

MISSING = [name for name in (ENDPOINT, BUCKET) if not os.environ.get(name)]

SERVERS = [
    pytest.param("seaweedfs", marks=pytest.mark.system),
    pytest.param("moto", marks=pytest.mark.system),
]
if not MISSING:
    SERVERS.append(pytest.param("endpoint", marks=pytest.mark.system))


KINDS = [pytest.param("memory"), pytest.param("local"), *SERVERS]
LINKS = LinkSigner(b"0123456789abcdef", "http://127.0.0.1:8700")
S = TypeVar("S", bound=ObjectStore)


@pytest.fixture(scope="session")
def seaweedfs_store(seaweedfs: S3Server) -> Iterator[S3Store]:
    yield from _closing(s3_store(seaweedfs, seaweedfs.new_bucket()))


@pytest.fixture(scope="session")
def moto_store(moto: S3Server) -> Iterator[S3Store]:
    yield from _closing(s3_store(moto, moto.new_bucket()))


@pytest.fixture(scope="session")
def endpoint_store() -> Iterator[S3Store]:
    settings = S3Settings(
        bucket=os.environ[BUCKET],
        endpoint=os.environ[ENDPOINT],
        region=os.environ.get(REGION, "auto"),
        multipart_above_bytes=8 * MIB,
        part_bytes=SMALL_PARTS,
    )
    yield from _closing(S3Store(settings, SystemClock(), random.Random(1)))


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    """A store with a prefix of its own."""
    kind: str = request.param
    prefix = f"dev/.tests/{uuid.uuid4().hex}/"
    if kind == "memory":
        yield Case(kind, MemoryStore(SystemClock(), links=LINKS), prefix)
    elif kind == "local":
        for store in _closing(LocalStore(tmp_path / "data", SystemClock(), links=LINKS)):
            yield Case(kind, store, prefix)
    else:
        store = request.getfixturevalue(f"{kind}_store")
        yield Case(kind, store, prefix)
        if kind == "endpoint":
            asyncio.run(_remove(store, prefix))


def _closing(store: S) -> Iterator[S]:
    try:
        yield store
    finally:
        asyncio.run(store.close())


async def _remove(store: ObjectStore, prefix: str) -> None:
    """Leave nothing behind on somebody's own bucket."""
    page = await store.list(prefix)
    for info in page.objects:
        await store.delete(info.key)
