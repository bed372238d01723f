"""A folder with a short path for sockets, whose names may hold 107 bytes, and for what Ray keeps while it runs.

It lies in the system's temporary folder and is removed at the end. Its path is written down in the data directory, so
that the next service removes what a killed one left. Who still uses it is ended first: a process of Ray's that starts
in that moment would make it anew. A folder that stays for all that is left to the next service.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

from holdfast.folder_users import end_folder_users

PREFIX = "hfs-"
NOTE_NAME = "short-folder"
# Ray puts sockets some 60 characters below it.
PATH_BYTES_MAX = 40
FALLBACK = Path("/tmp")
ATTEMPTS_MAX = 20
ATTEMPT_PAUSE_S = 0.05


class ShortFolder:
    """One folder, made anew. The data directory's lock has to be held: no two services make one at a time."""

    def __init__(self, local_dir: Path, *, temporary: Path | None = None) -> None:
        """Remove predecessors', make ours. Raises OSError."""
        self._note = local_dir / NOTE_NAME
        self._left = [left for left in left_folders(self._note) if not remove_folder(left)]
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_short(temporary or Path(tempfile.gettempdir()))))
        self._write_note([*self._left, self.path])

    def remove(self) -> None:
        """Remove the folder with all it holds."""
        if not remove_folder(self.path):
            self._left.append(self.path)
        self._write_note(self._left)

    def _write_note(self, folders: list[Path]) -> None:
        if folders:
            self._note.write_text("".join(f"{folder}\n" for folder in folders), encoding="utf-8")
        else:
            self._note.unlink(missing_ok=True)


def left_folders(note: Path) -> list[Path]:
    """The folders that a note names and that are there, as far as they are ours."""
    try:
        lines = note.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [folder for line in lines if _is_ours(folder := Path(line))]


def remove_folder(folder: Path) -> bool:
    """End who still uses it, remove it; whether it is gone for good."""
    for attempt in range(ATTEMPTS_MAX):
        if attempt:
            time.sleep(ATTEMPT_PAUSE_S)
        ended = end_folder_users(folder)
        shutil.rmtree(folder, ignore_errors=True)
        if not ended and not folder.exists():
            return True
    return False


def _is_ours(folder: Path) -> bool:
    try:
        status = folder.lstat()
    except (OSError, ValueError):
        return False
    return folder.name.startswith(PREFIX) and stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()


def _short(folder: Path) -> Path:
    return folder if len(os.fsencode(folder)) <= PATH_BYTES_MAX - len(PREFIX) - 8 else FALLBACK
