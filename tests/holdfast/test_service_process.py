"""`holdfast serve` as a child process, where it does not come up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdfast.exit_code import ServiceUnreachable
from holdfast.service_process import ServiceProcess

pytestmark = pytest.mark.system


async def test_a_start_that_fails_tells_the_services_last_words(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnreachable, match="APP_ENV is 'live'"):
        await ServiceProcess.start(tmp_path, environ={**os.environ, "APP_ENV": "live"})
