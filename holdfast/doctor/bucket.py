"""Checks of the object store: conditional writes, and its clock against ours."""

from __future__ import annotations

import random
import time

from holdfast.archive.bucket import opened_store
from holdfast.doctor.check import Finding
from holdfast.settings import Settings
from storage.clock import SystemClock
from storage.errors import HoldfastError
from storage.objects.probe import probe_prefix, probe_store

CLOCK_SKEW_S_MAX = 300.0


async def check_bucket(settings: Settings) -> list[Finding]:
    """Two findings. A store that lets two writers believe they won is refused at every start too."""
    name = settings.s3.bucket or str(settings.service.data_dir)
    try:
        async with opened_store(settings) as store:
            report = await probe_store(store, settings.app_env, SystemClock(), random.Random())
            store_time = (await store.list(probe_prefix(settings.app_env), limit=1)).store_time
    except HoldfastError as error:
        return [Finding("object store", False, error.message)]
    skew_s = abs(store_time - time.time())
    return [
        Finding("object store", True, f"{name} honours conditional writes ({len(report.steps)} steps)"),
        Finding(
            "store's clock", skew_s <= CLOCK_SKEW_S_MAX, f"{skew_s:.0f} s from ours, at most {CLOCK_SKEW_S_MAX:.0f}"
        ),
    ]
