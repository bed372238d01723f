"""What programs import from `holdfast`."""

from __future__ import annotations

import subprocess
import sys

import pytest

import holdfast
from actors.hosting import ray_cluster


def test_user_actor_is_the_one_that_finds_hosts_through_ray() -> None:
    assert holdfast.user_actor is ray_cluster.user_actor


def test_importing_holdfast_does_not_load_ray() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import sys, holdfast; print('ray' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "False"


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_such"):
        holdfast.nothing_such  # noqa: B018
