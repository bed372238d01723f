"""Where a host gets its activations from: what all of them share (object store, disk, clock, group commit), opened once
from a plain value that travels between processes.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakSet

import msgspec

from actors.activation import Activation, activate
from actors.durability.agent import Settlement, addresses_with_journals, settle_journal
from actors.durability.counters import GATE_WAIT_BOUNDS_S
from actors.durability.draining import drain_address
from actors.durability.group_commit import GroupCommit
from actors.durability.local_disk import LocalDisk
from actors.durability.parts import Parts
from actors.errors import AddressLocked, NotInActorMode
from actors.model.birth import template_image
from actors.settings import ActorSettings
from storage.clock import SystemClock
from storage.errors import HoldfastError
from storage.layout.address import Address
from storage.objects.build import open_store
from storage.objects.counting import CountingStore
from storage.objects.settings import StoreSettings
from storage.r2_sqlite.file_state import Mode

logger = logging.getLogger(__name__)

Sample = tuple[str, Mapping[str, str], float]
COUNTED = (
    "activations",
    "recoveries",
    "takeovers",
    "fences",
    "handovers",
    "orphans",
    "commits",
    "flushes",
    "flushed_bytes",
    "snapshots",
    "collected_slots",
    "journal_failures",
)
LOCKED_RETRIES_MAX = 40
LOCKED_RETRY_S = 0.1
SETTLE_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorConfig:
    """Everything a host process needs to know. `state_root` is this machine's local state of the environment, a folder;
    `host` is the name that status answers show."""

    env: str
    store: StoreSettings
    state_root: str
    settings: ActorSettings = field(default_factory=ActorSettings)
    host: str = ""

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, for `open_source` in another process."""
        plain: dict[str, Any] = msgspec.to_builtins(self, enc_hook=str)
        return plain


def open_source(config: Mapping[str, Any]) -> ActorSource:
    """The source that a host process is told to open (actors.hosting.host_config)."""
    return ActorSource(msgspec.convert(config, ActorConfig, dec_hook=lambda kind, value: kind(value)))


class ActorSource:
    """Starts activations. One per host process."""

    def __init__(self, config: ActorConfig) -> None:
        clock = SystemClock()
        rng = random.Random()
        self.store = CountingStore(open_store(config.store, clock=clock, rng=rng))
        self._disk = LocalDisk(Path(config.state_root))
        self.parts = Parts(
            store=self.store,
            disk=self._disk,
            clock=clock,
            rng=rng,
            env=config.env,
            settings=config.settings.validate(),
            group_commit=GroupCommit(clock),
            host=config.host,
        )
        self._live: WeakSet[Activation] = WeakSet()

    async def activate(self, address: Address, on_pass_end: object = None) -> Activation:
        """Claim, recover, serve. Waits a little for a lock that a journal's settling or an ending holds."""
        for _ in range(LOCKED_RETRIES_MAX):
            try:
                return await self._activate(address)
            except AddressLocked:
                await self.parts.clock.sleep(LOCKED_RETRY_S)
        return await self._activate(address)

    async def _activate(self, address: Address) -> Activation:
        try:
            activation = await activate(address, self.parts)
        except NotInActorMode as refusal:
            await self._drain_if_returning(address, refusal)
            raise
        self._live.add(activation)
        return activation

    async def _drain_if_returning(self, address: Address, refusal: NotInActorMode) -> None:
        """Rule 18: nobody serves an address on its way back to r2 mode, but what a dead owner left is brought in."""
        if refusal.details.get("file_state") != Mode.RETURNING.value:
            return
        try:
            await drain_address(self.parts, address, template_image(self.parts.settings.database))
        except HoldfastError as error:
            logger.info("nothing drained", extra={"address": str(address), "error": str(error)})

    async def settle_journals(self, addresses: Sequence[Address] | None = None) -> list[Settlement]:
        """Rule 6 for every journal on this machine that no process owns (or for `addresses`); what became of each."""
        gate = asyncio.Semaphore(SETTLE_AT_ONCE)

        async def settle(address: Address) -> Settlement | None:
            async with gate:
                try:
                    return await settle_journal(self.parts, address)
                except AddressLocked:
                    return None
                except HoldfastError as error:
                    logger.warning("journal not settled", extra={"address": str(address), "error": str(error)})
                    return None

        found = addresses_with_journals(self._disk) if addresses is None else addresses
        return [each for each in await asyncio.gather(*map(settle, found)) if each is not None]

    def samples(self) -> list[Sample]:
        """Counts and gauges of this host for metrics: (name, labels, value)."""
        counters, gate_wait = self.parts.counters, self.parts.counters.gate_wait
        found: list[Sample] = [(f"holdfast_{name}_total", {}, float(getattr(counters, name))) for name in COUNTED]
        running = 0
        for bound, count in zip((*GATE_WAIT_BOUNDS_S, float("inf")), gate_wait.counts, strict=True):
            running += count
            label = "+Inf" if bound == float("inf") else f"{bound:g}"
            found.append(("holdfast_gate_wait_seconds_bucket", {"le": label}, float(running)))
        found.append(("holdfast_gate_wait_seconds_sum", {}, gate_wait.total_s))
        found.append(("holdfast_gate_wait_seconds_count", {}, float(running)))
        keepers = [activation.keeper for activation in self._live if not activation.ended.done()]
        unflushed = [waiting for keeper in keepers if (waiting := keeper.flusher.unflushed()) is not None]
        gauges = {
            "holdfast_live_activations": len(keepers),
            "holdfast_flush_lag_seconds": max((keeper.flush_lag_s() for keeper in keepers), default=0.0),
            "holdfast_unflushed_bytes": sum(waiting.byte_size for waiting in unflushed),
            "holdfast_unsynced_commits": sum(keeper.journal.appended - keeper.journal.synced for keeper in keepers),
            "holdfast_held_replies": sum(keeper.gate.waiting for keeper in keepers),
        }
        found.extend((name, {}, float(value)) for name, value in gauges.items())
        found.append(("holdfast_journal_sync_mean_seconds", {}, self.parts.group_commit.meter.mean_s))
        for kind, count in self.store.counts.operations.items():
            found.append(("holdfast_bucket_operations_total", {"kind": str(kind)}, float(count)))
        return found

    async def close(self) -> None:
        """Free what activations shared; all of them have ended."""
        self._disk.close()
        await self.store.close()
