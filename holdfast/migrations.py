"""Moving users, wired: the parts of a driver from the settings, the ways to the actors, and the gateway's port.

inside the service    the router asks the host
beside it (the CLI)   the service is asked over HTTP; where none runs, this process recovers what a dead owner left
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from actors.call import Op
from actors.durability.draining import drain_address
from actors.model.birth import template_image
from actors.source import ActorConfig, ActorSource
from gateway.router import Router
from holdfast.exit_code import ServiceUnreachable
from holdfast.service_client import ServiceClient
from holdfast.settings import Settings
from migrate.candidates import find_candidates
from migrate.decision import Goal
from migrate.errors import MigrationError
from migrate.finalization import Finalization
from migrate.parts import ActorDoor, MigrationParts
from migrate.record_store import RecordStore
from migrate.settings import MigrationSettings
from migrate.survey import plan_user, verify_user
from migrate.user_migration import UserMigration
from storage.clock import Clock
from storage.errors import InvalidRequest
from storage.flags.cache import FlagCache
from storage.flags.port import FlagStore
from storage.layout.address import Address
from storage.objects.port import ObjectStore
from storage.r2_sqlite.figures import Figures

CANDIDATES_MAX = 1000


@dataclass(frozen=True, slots=True)
class RouterDoor:
    """Inside the service. A request to an actor whose file returns recovers it by itself (rule 18)."""

    router: Router

    async def release(self, address: Address) -> None:
        await self.router.call(address, Op.RELEASE, {})


class LocalDoor:
    """Beside no service: nobody serves here, so only what a dead owner left is to be brought in. The disk with its
    journals is opened when it is needed for the first time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._source: ActorSource | None = None

    async def release(self, address: Address) -> None:
        if self._source is None:
            env = self._settings.app_env
            config = ActorConfig(
                env=env,
                store=self._settings.store,
                state_root=str(self._settings.service.local_dir / env),
                settings=self._settings.actors,
            )
            self._source = ActorSource(config)
        parts = self._source.parts
        await drain_address(parts, address, template_image(parts.settings.database))

    async def close(self) -> None:
        """Free the disk and the store."""
        if self._source is not None:
            await self._source.close()


@dataclass(frozen=True, slots=True)
class ServiceDoor:
    """Beside a service, over HTTP; `otherwise` where none answers."""

    client: ServiceClient
    otherwise: ActorDoor

    async def release(self, address: Address) -> None:
        user, profile = quote(address.user, safe="@"), quote(address.profile, safe="@")
        path = f"/v1/admin/migrations/{user}/profiles/{profile}/release"
        try:
            await asyncio.to_thread(self.client.call, "POST", path)
        except ServiceUnreachable:
            await self.otherwise.release(address)


def migration_parts(
    store: ObjectStore,
    settings: Settings,
    flags: FlagStore,
    actors: ActorDoor,
    *,
    clock: Clock,
    rng: random.Random,
    by: str,
    limits: MigrationSettings | None = None,
) -> MigrationParts:
    """A driver's parts. The run is named by its time and four random digits."""
    started = datetime.fromtimestamp(clock.wall(), UTC).strftime("%Y%m%dT%H%M%SZ")
    return MigrationParts(
        store=store,
        env=settings.app_env,
        clock=clock,
        rng=rng,
        flags=flags,
        actors=actors,
        database=settings.actors.database,
        settings=(limits or MigrationSettings()).validate(),
        run=f"{started}-{rng.getrandbits(16):04x}",
        by=by,
    )


class ServiceMigrations:
    """Implements `gateway.parts.Migrations`. Each step is a run of its own."""

    def __init__(self, parts: MigrationParts, *, figures: Figures, flags: FlagCache) -> None:
        self._parts = parts
        self._figures = figures
        self._flags = flags
        self._records = RecordStore(parts)

    async def summary(self) -> Mapping[str, object]:
        counts = Counter[str]()
        async for user in self._records.users():
            record = await self._records.read(user)
            if record is not None:
                counts[record.state.value] += 1
        measured = dict(self._figures.users())
        candidates = []
        async for candidate in find_candidates(self._parts.store, self._parts.env, measured):
            candidates.append(asdict(candidate))
            if len(candidates) == CANDIDATES_MAX:
                break
        switch = await self._records.switch()
        return {"states": dict(sorted(counts.items())), "paused": switch.paused, "candidates": candidates}

    async def pause(self, *, paused: bool) -> Mapping[str, object]:
        return {"paused": (await self._records.set_switch(paused=paused)).paused}

    async def status(self, user: str) -> Mapping[str, object]:
        record = await self._records.read(user)
        if record is None:
            return {"user": user, "state": "r2", "profiles": {}}
        found: dict[str, Any] = {"state": record.state.value, **msgspec.to_builtins(record)}
        return found

    async def carry_out(self, user: str, step: str, *, execute: bool, force: bool) -> Mapping[str, object]:
        parts = replace(self._parts, run=f"{self._parts.run}-{self._parts.rng.getrandbits(16):04x}")
        if step == "verify":
            return {"user": user, "profiles": [asdict(each) for each in await verify_user(parts, user)]}
        if step == "plan" or (not execute and step in ("run", "rollback")):
            return {
                "user": user,
                "executed": False,
                "profiles": [asdict(each) for each in await plan_user(parts, user)],
            }
        if step == "finalize":
            done = await Finalization(parts, user).run(execute=execute)
            return {"user": user, "executed": execute, "profiles": [asdict(each) for each in done]}
        if step not in ("run", "rollback"):
            raise InvalidRequest(f"step {step!r}: expected plan, run, verify, rollback or finalize")
        if step == "run" and (await self._records.switch()).paused:
            raise MigrationsPaused("migrations are paused", retry_after_s=60.0)
        outcome = await UserMigration(parts, user, Goal.ACTOR if step == "run" else Goal.R2).run(force=force)
        self._flags.forget(user)
        return {"executed": True, **asdict(outcome)}

    async def release(self, address: Address) -> Mapping[str, object]:
        await self._parts.actors.release(address)
        return {"released": True}


class MigrationsPaused(MigrationError):
    """Nobody is begun while the switch says so."""

    code = "migrations_paused"
    retryable = True
