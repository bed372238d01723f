"""How the gateway reaches actors: one port, over links to hosts (actors.hosting) or in process (test kit)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Protocol, runtime_checkable

from actors.call import Op, Reply
from storage.errors import HoldfastError
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


class Begun(Protocol):
    """A call that is on its way. `answer` is given once; cancelled when nobody waits any more, which `abandon` passes
    on to the host."""

    answer: asyncio.Future[Reply]

    def abandon(self) -> None: ...


@runtime_checkable
class DirectRouter(Router, Protocol):
    """A router that can put a call on its way at once, without a task that waits for it."""

    def begin(self, address: Address, op: Op, args: Mapping[str, object], body: bytes) -> Begun | None:
        """The call, sent; None when that is not possible at once (nothing was sent, `call` would wait). Never raises.

        `answer` fails with the first error that `call` would meet, which is then given to `go_on`."""
        ...

    async def go_on(
        self, error: HoldfastError, address: Address, op: Op, args: Mapping[str, object], body: bytes
    ) -> Reply:
        """What `call` would answer or raise after `error`."""
        ...
