"""This service's hosts as the gateway sees them: found on demand, kept warm, asked how they are, drained at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from actors.hosting.endpoint import Endpoint
from actors.hosting.placement import shared_host
from actors.hosting.ray_cluster import RayCluster, RayHosts
from actors.hosting.settings import PlacementSettings
from gateway.parts import HostsReport, Sample
from holdfast.host_totals import HostTotals, in_turn
from storage.errors import HoldfastError
from storage.layout.address import Address

# Hosts asked for their numbers at one scrape, in turn; and how long a scrape waits for one of them.
ASKED_MAX = 200
ANSWER_WITHIN_S = 1.0
_NOBODY = Address("nobody", "nobody")

log = logging.getLogger(__name__)


class ServiceHosts:
    """The HostFinder that HostRouter is given."""

    def __init__(self, cluster: RayCluster, hosts: RayHosts, placement: PlacementSettings) -> None:
        self._cluster = cluster
        self._hosts = hosts
        self._placement = placement
        self._names: set[str] = set()
        self._totals: dict[str, HostTotals] = {}
        self._asked_last = ""
        self._tasks: set[asyncio.Task[int]] = set()

    async def prepare(self) -> None:
        """Shared hosts are started before the first request; for dedicated ones a worker process is kept warm."""
        if self._placement.mode == "shared":
            names = [shared_host(index) for index in range(self._placement.shared_hosts)]
            await asyncio.gather(*(self.find(name, _NOBODY) for name in names))
        else:
            await self._cluster.warm()

    async def find(self, name: str, address: Address, *, not_life: str | None = None) -> Endpoint:
        """Where host `name` listens now, started if need be. Raises HostUnavailable."""
        endpoint = await self._hosts.find(name, address, not_life=not_life)
        self._names.add(name)
        if self._placement.mode == "dedicated":
            warming = asyncio.create_task(self._cluster.warm())
            self._tasks.add(warming)
            warming.add_done_callback(self._warmed)
        return endpoint

    async def report(self) -> HostsReport:
        """Whether hosts can be started and the shared ones answer."""
        if self._placement.mode == "dedicated":
            return HostsReport(ready=True, details={"placement": "dedicated", "hosts": len(self._names)})
        names = [shared_host(index) for index in range(self._placement.shared_hosts)]
        answers = await asyncio.gather(*(self._ping(name) for name in names))
        missing = [name for name, answer in zip(names, answers, strict=True) if answer is None]
        return HostsReport(ready=not missing, details={"placement": "shared", "hosts": len(names), "missing": missing})

    async def samples(self) -> Sequence[Sample]:
        """What the hosts say of themselves, added up, for /metrics. A host that is slow to answer is left out."""
        names = in_turn(sorted(self._names), self._asked_last, ASKED_MAX)
        self._asked_last = names[-1] if names else ""
        await asyncio.gather(*(self._ask(name) for name in names))
        return [sample for group, totals in self._totals.items() for sample in totals.samples(group=group)]

    async def drain(self) -> list[str]:
        """Flush and release everything, end all hosts. Addresses that could not be released."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return await self._hosts.stop_all()

    async def _ask(self, name: str) -> None:
        group = "" if self._placement.mode == "dedicated" else name
        totals = self._totals.setdefault(group, HostTotals())
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                samples = await self._hosts.samples(name)
        except (HoldfastError, TimeoutError):
            totals.lose(name)
            return
        if samples:
            totals.take(name, samples)
        else:
            totals.forget(name)
            self._names.discard(name)  # it has ended; whoever needs it again finds it anew

    async def _ping(self, name: str) -> Mapping[str, object] | None:
        try:
            return await self._hosts.ping(name)
        except HoldfastError as error:
            log.warning("host %s does not answer: %s", name, error.message)
            return None

    def _warmed(self, task: asyncio.Task[int]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.warning("no spare worker process: %s", task.exception())
