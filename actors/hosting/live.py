"""What hosting needs of an activation, as protocols: it starts one, hands it calls, watches its size and ends it.

The real one is actors.activation; tests bring a small echo. Nothing here knows what a call does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from actors.call import Call
from storage.errors import HoldfastError
from storage.layout.address import Address

PassEnd = Callable[[Callable[[], None]], None]
"""`on_pass_end(callback)`: run `callback` once, when the turns of this pass are over (see actors.hosting.inbox)."""


class LiveActivation(Protocol):
    """One address's live instance. Everything happens on the host's event loop unless said otherwise."""

    @property
    def address(self) -> Address: ...

    @property
    def memory_bytes(self) -> int:
        """What it holds now, for the host's budget."""
        ...

    @property
    def last_used(self) -> float:
        """`clock.now()` of the last call."""
        ...

    @property
    def busy(self) -> bool:
        """A call is unanswered or a stream is open: not to be evicted."""
        ...

    @property
    def ended(self) -> asyncio.Future[HoldfastError | None]:
        """Done once it has ended: None after a release, else why (fenced, broken)."""
        ...

    def submit(self, call: Call) -> None:
        """Run or queue the turn. Never blocks, never raises; answers by `call.reply` or `call.fail`, once."""
        ...

    async def release(self) -> None:
        """Flush, write RELEASE, end. Raises HoldfastError if the bucket is out of reach."""
        ...

    async def kill(self) -> None:
        """End at once and write nothing more; the journal keeps what was not shipped."""
        ...


@runtime_checkable
class Interruptible(Protocol):
    """An activation whose running statement can be interrupted from another thread."""

    def interrupt(self) -> None:
        """Callable from any thread: the statement that runs now ends with an error."""
        ...


Sample = tuple[str, Mapping[str, str], float]
"""One number for metrics: name, labels, value."""


@runtime_checkable
class Measured(Protocol):
    """A source that has numbers to show."""

    def samples(self) -> Sequence[Sample]:
        """Counters (`…_total`) and gauges of everything it started."""
        ...


class ActivationSource(Protocol):
    """Starts activations; owns what they share (object store, disk, threads)."""

    async def activate(self, address: Address, on_pass_end: PassEnd) -> LiveActivation:
        """Claim, recover, serve. Raises HoldfastError."""
        ...

    async def close(self) -> None:
        """Free what activations shared; all of them have ended."""
        ...
