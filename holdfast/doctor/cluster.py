"""Check of Ray: it is started and ended once, in a folder of its own."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from actors.hosting.ray_cluster import RayCluster
from holdfast.doctor.check import Finding
from holdfast.process_group import children_apart
from holdfast.short_folder import PREFIX, remove_folder
from storage.errors import HoldfastError


def check_ray() -> Finding:
    """Takes some seconds. Has to run in the main thread, as Ray's processes end with the thread that started them."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    started = time.monotonic()
    try:
        with children_apart():
            RayCluster.start_local(folder=folder, spares=0).close()
    except HoldfastError as error:
        return Finding("ray", False, error.message)
    finally:
        remove_folder(folder)
    return Finding("ray", True, f"starts and ends, in {time.monotonic() - started:.1f} s")
