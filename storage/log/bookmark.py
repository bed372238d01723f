"""A position a client can wait for or restore to, as opaque, ordered text (rule 12). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from storage.errors import InvalidRequest


class InvalidBookmark(InvalidRequest):
    """Text that no Holdfast wrote."""

    code = "invalid_bookmark"


_TEXT = re.compile(r"([0-9a-f]{8})-([0-9a-f]{16})-([0-9a-f]{8})\Z")


@dataclass(frozen=True, slots=True, order=True)
class Bookmark:
    """Commit number `commit`, seen in ownership `epoch` of generation `gen`. Text order is bookmark order."""

    epoch: int
    commit: int
    gen: int

    def __str__(self) -> str:
        return f"{self.epoch:08x}-{self.commit:016x}-{self.gen:08x}"

    @classmethod
    def parse(cls, text: str) -> Bookmark:
        """The bookmark, or `InvalidBookmark`."""
        match = _TEXT.match(text)
        if match is None:
            raise InvalidBookmark(f"bookmark {text[:80]!r}: expected the text of an earlier answer")
        epoch, commit, gen = (int(part, 16) for part in match.groups())
        return cls(epoch, commit, gen)
