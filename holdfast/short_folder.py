"""A folder with a short path for sockets, whose names may hold 107 bytes, and for what Ray keeps while it runs.

It lies in the system's temporary folder and is removed at the end. Its path is written down in the data directory, so
that the next service removes what a killed one left.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

PREFIX = "hfs-"
NOTE_NAME = "short-folder"
# Ray puts sockets some 60 characters below its folder.
PATH_BYTES_MAX = 40
FALLBACK = Path("/tmp")


class ShortFolder:
    """One folder, made anew. The data directory's lock has to be held: no two services make one at a time."""

    def __init__(self, local_dir: Path, *, temporary: Path | None = None) -> None:
        """Remove a predecessor's, make ours. Raises OSError."""
        self._note = local_dir / NOTE_NAME
        remove_left(self._note)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_short(temporary or Path(tempfile.gettempdir()))))
        self._note.write_text(f"{self.path}\n", encoding="utf-8")

    def remove(self) -> None:
        """Remove the folder with all it holds."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._note.unlink(missing_ok=True)


def remove_left(note: Path) -> None:
    """Remove the folder that a note names, if it is one of ours."""
    try:
        left = Path(note.read_text(encoding="utf-8").strip())
        status = left.lstat()
    except (OSError, ValueError):
        return
    if left.name.startswith(PREFIX) and stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
        shutil.rmtree(left, ignore_errors=True)


def _short(folder: Path) -> Path:
    return folder if len(os.fsencode(folder)) <= PATH_BYTES_MAX - len(PREFIX) - 8 else FALLBACK
