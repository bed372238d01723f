"""Where records come from and are rewritten: a port, and a file of JSON lines.

The other source, a table in a user's database, is reached through the running service (holdfast/media_table.py), so
that its rows change in whatever mode the user is served.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from migrate.layout.media_record import Fields, Switch, switched
from storage.errors import InvalidRequest

LINES_MAX = 1_000_000


class RecordSource(Protocol):
    """Records in a fixed order; `Switch.index` counts in it. `name` tells one source from another."""

    @property
    def name(self) -> str: ...

    async def read(self) -> Sequence[Fields]:
        """All records, as they are now."""
        ...

    async def switch(self, switches: Sequence[Switch]) -> None:
        """Rewrite keys, durably, each only where it is still the old one."""
        ...


class JsonLines:
    """A file of JSON objects, one a line. Rewritten whole, beside itself, then put in place."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        return self._path.name

    async def read(self) -> Sequence[Fields]:
        """Raises InvalidRequest naming the line, OSError."""
        return self._read()

    async def switch(self, switches: Sequence[Switch]) -> None:
        records: list[dict[str, Any]] = self._read()
        for each in switches:
            records[each.index] = switched(records[each.index], each.place, each.old, each.new)
        lines = b"".join(msgspec.json.encode(record) + b"\n" for record in records)
        draft = self._path.with_name(f".{self._path.name}.part")
        with draft.open("wb") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _read(self) -> list[dict[str, Any]]:
        lines = [line for line in self._path.read_bytes().split(b"\n") if line.strip()]
        if len(lines) > LINES_MAX:
            raise InvalidRequest(f"{self._path}: {len(lines)} lines, at most {LINES_MAX}")
        return [self._decode(number, line) for number, line in enumerate(lines, start=1)]

    def _decode(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            return msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise InvalidRequest(f"{self._path}: record {number}: {error}") from error
