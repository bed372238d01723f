"""r2 mode beside the actors, from the settings: the files, the flags and the rollout that a gateway looks at."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack

from actors.r2mode.router import R2Router
from actors.r2mode.shadow import ShadowReads
from gateway.modes import ModeParts
from holdfast.settings import Settings
from storage.clock import Clock
from storage.flags.build import open_flags
from storage.flags.cache import FlagCache
from storage.flags.flag import ServedMode
from storage.objects.port import ObjectStore
from storage.r2_sqlite.files import R2Files
from storage.rollout.store import RolloutCache, RolloutStore


def open_modes(
    stack: AsyncExitStack, store: ObjectStore, settings: Settings, *, clock: Clock, rng: random.Random
) -> ModeParts:
    """What the gateway needs; closed with `stack`. Raises InvalidRequest."""
    env, gateway = settings.app_env, settings.gateway
    flags = open_flags(settings.flags, store=store, env=env, clock=clock, rng=rng)
    stack.push_async_callback(flags.close)
    files = R2Files(store, env, clock=clock, rng=rng, settings=settings.r2_mode)
    shadow = ShadowReads(
        share=settings.r2_mode.shadow_share,
        seed=rng.getrandbits(64),
        settings=settings.actors.database,
        clock=clock,
    )
    router = R2Router(
        files,
        settings=settings.actors,
        file_bytes_max=settings.r2_mode.file_bytes_max,
        clock=clock,
        shadow=shadow,
    )
    stack.push_async_callback(router.close)
    rollouts = RolloutStore(store, env, clock=clock, rng=rng)
    return ModeParts(
        files=router,
        flags=FlagCache(flags, clock, ttl_s=settings.flags.ttl_s, users_max=settings.flags.users_max),
        rollouts=RolloutCache(rollouts, clock, ttl_s=gateway.rollout_ttl_s),
        new_users=ServedMode(gateway.new_users),
        addresses_max=gateway.modes_remembered_max,
    )
