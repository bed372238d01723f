"""One local Ray for all system tests of hosting, with a folder and a namespace of its own, ended with the run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.hosting.process_registry import ProcessRegistry
from actors.hosting.ray_cluster import RayCluster
from tests.actors.hosting.hosted import short_folder


@pytest.fixture(scope="session")
def ray_folder() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def cluster(ray_folder: Path) -> Iterator[RayCluster]:
    registry = ProcessRegistry(ray_folder / "run")
    cluster = RayCluster.start_local(folder=ray_folder / "r", cpus=2, spares=1, registry=registry)
    yield cluster
    cluster.close()
