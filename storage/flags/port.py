"""What a store of flags offers, as one port with two backends: objects in the bucket, and Cloudflare Workers KV.

Promises both keep (tests/storage/flags/test_conformance.py): a put or delete that returned is seen by every reader
after `staleness_s` seconds at the latest, and until then a reader may see what was before, a miss included; the last
write wins; a write may be repeated. Nothing is atomic over two keys, and nothing here may decide ownership.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from storage.flags.flag import Flag


class FlagStore(Protocol):
    """See the module. Every method raises InvalidId for a wrong user, Unavailable and StoreRefused."""

    @property
    def staleness_s(self) -> float:
        """How long readers may still see what was before a write, seconds."""
        ...

    async def get(self, user: str) -> Flag | None:
        """The user's flag, or None. Raises CorruptObject for a value that is no flag."""
        ...

    async def put(self, user: str, flag: Flag) -> None: ...

    async def delete(self, user: str) -> None:
        """Remove the flag; a missing one is no error."""
        ...

    def users(self) -> AsyncIterator[str]:
        """Every user with a flag, ascending."""
        ...

    async def close(self) -> None:
        """Free connections."""
        ...
