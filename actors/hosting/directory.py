"""The gateway's side: who is where. Carries a call to the host of its address, and finds that host again when it died.

The usual call costs two dictionary look-ups and a frame. When it fails, actors.hosting.resend decides: what surely did
not run, or may run twice, is sent again with growing pauses until `resend_for_s` is over; a write that may have run and
must not run twice is answered `OutcomeUnknownWrite`. A call that took its host along is sent again LOSSES_MAX times at
most: it may be what kills them. One search per host serves all calls that wait for it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final, Protocol

from actors.call import Op, Reply
from actors.errors import HostUnavailable, OutcomeUnknownWrite
from actors.hosting.endpoint import Endpoint
from actors.hosting.errors import LinkLost, NobodyListens
from actors.hosting.link_call import LinkCall
from actors.hosting.link_client import HostLink
from actors.hosting.placement import host_of
from actors.hosting.resend import Verdict, judge
from actors.hosting.settings import PlacementSettings, RouterSettings
from storage.clock import Clock
from storage.errors import HoldfastError
from storage.layout.address import Address

LOSSES_MAX: Final = 2


class HostFinder(Protocol):
    """Who starts hosts and knows where they listen (actors.hosting.ray_cluster)."""

    async def find(self, name: str, address: Address, *, not_life: str | None = None) -> Endpoint:
        """Where host `name` listens now, started if need be for `address`; not the life `not_life`, which is gone. May
        wait for long. Raises HostUnavailable when the host cannot start."""
        ...


class HostRouter:
    """The gateway's Router over links. `nonce()` gives 32 fresh random bytes; `machine` is this machine's identity."""

    def __init__(
        self,
        hosts: HostFinder,
        placement: PlacementSettings,
        *,
        secret: bytes,
        machine: str,
        nonce: Callable[[], bytes],
        clock: Clock,
        settings: RouterSettings | None = None,
    ) -> None:
        self._hosts, self._placement = hosts, placement.validate()
        self._secret, self._machine, self._nonce, self._clock = secret, machine, nonce, clock
        self._settings = settings or RouterSettings()
        self._names: OrderedDict[Address, str] = OrderedDict()
        self._links: OrderedDict[str, HostLink] = OrderedDict()
        self._searches: dict[str, asyncio.Task[HostLink]] = {}
        self._closed = False

    async def call(
        self,
        address: Address,
        op: Op,
        args: Mapping[str, object],
        body: bytes = b"",
        *,
        stream: AsyncIterator[bytes] | None = None,
    ) -> Reply:
        """See gateway.router.Router."""
        name = self._names.get(address) or self._place(address)
        link = self._links.get(name)
        if stream is not None:
            stream = OnceTaken(stream)
        try:
            if link is None or not link.usable:
                link = await self._link(name, address)
            return await link.call(address, op, args, body, stream=stream)
        except HoldfastError as error:
            return await self._persist(error, name, address, op, args, body, stream)

    def begin(self, address: Address, op: Op, args: Mapping[str, object], body: bytes) -> LinkCall | None:
        """See gateway.router.DirectRouter: the call, when its host is known and linked."""
        link = self._links.get(self._names.get(address) or self._place(address))
        if link is None:
            return None
        try:
            return link.begin(address, op, args, body)
        except HoldfastError:
            return None

    async def go_on(
        self, error: HoldfastError, address: Address, op: Op, args: Mapping[str, object], body: bytes
    ) -> Reply:
        """See gateway.router.DirectRouter."""
        return await self._persist(
            error, self._names.get(address) or self._place(address), address, op, args, body, None
        )

    async def close(self) -> None:
        """End all links. Calls under way fail."""
        self._closed = True
        searches = list(self._searches.values())
        for search in searches:
            search.cancel()
        await asyncio.gather(*searches, return_exceptions=True)
        links, self._links = list(self._links.values()), OrderedDict()
        await asyncio.gather(*(link.close() for link in links))

    async def _persist(
        self,
        error: HoldfastError,
        name: str,
        address: Address,
        op: Op,
        args: Mapping[str, object],
        body: bytes,
        stream: AsyncIterator[bytes] | None,
    ) -> Reply:
        """The call failed once. Send it again while that is safe and there is time."""
        deadline = self._clock.now() + self._settings.resend_for_s
        pause = self._settings.resend_first_s
        losses = 0
        while True:
            self._give_up_unless_safe(error, address, op, args, body, stream)
            losses += isinstance(error, LinkLost) and error.may_have_run
            if losses > LOSSES_MAX:
                raise error
            pause = max(pause, min(error.retry_after_s or 0.0, self._settings.resend_max_s))
            if self._closed or self._clock.now() + pause >= deadline:
                raise error
            await self._clock.sleep(pause)
            pause = min(2 * pause, self._settings.resend_max_s)
            try:
                link = await self._link(name, address)
                return await link.call(address, op, args, body, stream=stream)
            except HoldfastError as again:
                error = again

    def _give_up_unless_safe(
        self,
        error: HoldfastError,
        address: Address,
        op: Op,
        args: Mapping[str, object],
        body: bytes,
        stream: AsyncIterator[bytes] | None,
    ) -> None:
        """Return if the call may be sent again; else raise what it is to be answered with."""
        verdict = judge(error, op, args, body)
        if verdict is Verdict.FINAL:
            raise error
        spent = isinstance(stream, OnceTaken) and stream.taken
        if verdict is Verdict.UNKNOWN or (spent and isinstance(error, LinkLost) and error.may_have_run):
            raise OutcomeUnknownWrite(
                f"{op} on {address}: the connection to its host broke before the answer; the write may have happened",
                details={"reason": error.message},
            ) from error
        if spent:
            raise HostUnavailable(
                f"{op} on {address} did not run, and its upload was read in part: {error.message}"
            ) from error

    # --- links --------------------------------------------------------------------------------------------------

    async def _link(self, name: str, address: Address) -> HostLink:
        """The link to host `name`, made if need be. Everybody who waits for the same host shares one search."""
        link = self._links.get(name)
        if link is not None and link.usable:
            return link
        if self._closed:
            raise HostUnavailable("this gateway is closing")
        search = self._searches.get(name)
        if search is None:
            search = asyncio.get_running_loop().create_task(self._search(name, address), name=f"find {name}")
            self._searches[name] = search
            search.add_done_callback(lambda task: self._search_over(name, task))
        return await asyncio.shield(search)

    async def _search(self, name: str, address: Address) -> HostLink:
        known = self._links.pop(name, None)
        gone = None
        if known is not None:
            try:
                return await self._connect(name, known.endpoint)
            except NobodyListens:
                gone = known.endpoint.life_id
        try:
            async with asyncio.timeout(self._settings.host_start_timeout_s):
                return await self._find_and_connect(name, address, gone)
        except TimeoutError as error:
            raise HostUnavailable(f"host {name} did not start in {self._settings.host_start_timeout_s:g} s") from error

    async def _find_and_connect(self, name: str, address: Address, gone: str | None) -> HostLink:
        """What is published may still be a life that ended: nobody listens there, the next one is asked for."""
        while True:
            endpoint = await self._hosts.find(name, address, not_life=gone)
            try:
                return await self._connect(name, endpoint)
            except NobodyListens:
                if endpoint.life_id == gone:
                    raise
                gone = endpoint.life_id

    async def _connect(self, name: str, endpoint: Endpoint) -> HostLink:
        s = self._settings
        link = await HostLink.connect(
            endpoint,
            secret=self._secret,
            nonce=self._nonce(),
            connect_timeout_s=s.connect_timeout_s,
            reply_timeout_s=s.reply_timeout_s,
            ping_after_s=s.ping_after_s,
            ping_timeout_s=s.ping_timeout_s,
            local_machine=self._machine,
        )
        self._links[name] = link
        self._drop_surplus_links()
        return link

    def _search_over(self, name: str, task: asyncio.Task[HostLink]) -> None:
        if self._searches.get(name) is task:
            del self._searches[name]
        if not task.cancelled():
            task.exception()

    def _drop_surplus_links(self) -> None:
        """Keep at most `links_max`; the oldest that nobody uses goes first."""
        if len(self._links) <= self._settings.links_max:
            return
        for name, link in self._links.items():
            if link.open_calls == 0:
                del self._links[name]
                link.abort()
                return

    def _place(self, address: Address) -> str:
        name = self._names[address] = host_of(address, self._placement)
        if len(self._names) > self._settings.addresses_cached_max:
            self._names.popitem(last=False)
        return name


class OnceTaken(AsyncIterator[bytes]):
    """A request's stream that remembers whether anybody began to read it: then it cannot be sent again."""

    __slots__ = ("_stream", "taken")

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream
        self.taken = False

    async def __anext__(self) -> bytes:
        self.taken = True
        return await anext(self._stream)

    async def aclose(self) -> None:
        """Close what is read from, unless it is still to be sent again."""
        if self.taken:
            aclose = getattr(self._stream, "aclose", None)
            if aclose is not None:
                await aclose()
