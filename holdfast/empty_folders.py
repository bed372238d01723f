"""Folders that a local store leaves when their objects are gone. Only empty ones go; files of any kind stay."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def remove_empty_folders(root: Path, names: Iterable[str]) -> None:
    """Remove the folders `names` below `root` as far as nothing is in them. Raises OSError for what cannot be read."""
    for name in names:
        if not name or name.startswith("."):
            continue
        for folder, _, _ in os.walk(root / name, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                continue  # something is in it
