"""How the gateway reaches actors: one port, over links to hosts (actors.hosting) or in process (test kit)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from actors.call import Op, Reply
from storage.layout.address import Address


class Router(Protocol):
    """Finds the host of an address and carries calls there."""

    async def call(
        self,
        address: Address,
        op: Op,
        args: Mapping[str, object],
        body: bytes = b"",
        *,
        stream: AsyncIterator[bytes] | None = None,
    ) -> Reply:
        """The actor's answer. Raises HoldfastError (with the code, retryable, retry_after_s and details of the actor's
        own error). A call that surely did not run is sent again by itself, within a bound; one that may have run is
        not, unless its op is safe or `args` hold an `idempotency_key`: then `OutcomeUnknownWrite`."""
        ...

    async def close(self) -> None: ...
