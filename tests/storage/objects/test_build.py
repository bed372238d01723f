"""Settings become the store they describe."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from storage.clock import SystemClock
from storage.errors import InvalidRequest
from storage.objects.build import open_store
from storage.objects.local import LocalStore
from storage.objects.s3 import S3Store
from storage.objects.settings import S3Settings, StoreSettings

REPOSITORY = Path(__file__).parents[3]


async def test_a_directory_or_a_bucket_is_opened(tmp_path: Path) -> None:
    clock, rng = SystemClock(), random.Random(1)
    local = open_store(StoreSettings(root=tmp_path / "new" / "data"), clock=clock, rng=rng)
    assert isinstance(local, LocalStore)
    await local.put("dev/a", b"x")
    assert (tmp_path / "new/data/dev/a").exists()
    settings = StoreSettings(kind="s3", s3=S3Settings(bucket="b", endpoint="http://127.0.0.1:1"))
    bucket = open_store(settings, clock=clock, rng=rng, session=boto3.Session("key", "secret"))
    assert isinstance(bucket, S3Store)
    await local.close()
    await bucket.close()


def test_settings_that_fit_no_store_open_none() -> None:
    with pytest.raises(InvalidRequest):
        open_store(StoreSettings(), clock=SystemClock(), rng=random.Random(1))


@pytest.mark.system
def test_a_local_store_does_not_load_boto3() -> None:
    code = "import storage.objects.build, sys; sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0
