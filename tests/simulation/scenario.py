"""What a run is made of, drawn from its seed: how many machines, which settings, how bad the weather, what accidents.

A profile is a family of scenarios; `PROFILES` holds them with their weights among the seeds of the suite. Faults come
in two sizes, well below or well above what the protocol waits out: whether a loss is excused is seldom in doubt.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from actors.call import Durability
from actors.settings import ActorSettings, DatabaseSettings
from tests.simulation.disk import DiskWeather
from tests.simulation.weather import CALM, ROUGH, TIMEOUT_S, Weather

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Profile:
    """A family of scenarios. `accidents`: relative weights by name (see `accidents.py`); `every_s` their mean distance.

    `pace` stretches what hosts and supervisors do by themselves, for scenarios of days.
    """

    weight: float
    accidents: Mapping[str, float]
    machines: tuple[int, int] = (2, 3)
    addresses: tuple[int, int] = (1, 1)
    every_s: float = 12.0
    rough: float = 0.5
    horizon_s: tuple[float, float] = (60.0, 120.0)
    think_s: float = 0.4
    clients: tuple[int, int] = (2, 5)
    levels: Mapping[Durability, float] = field(
        default_factory=lambda: {Durability.LOCAL: 0.6, Durability.R2: 0.3, Durability.MEMORY: 0.1}
    )
    write_share: float = 0.55
    pace: float = 1.0
    settings: Mapping[str, object] = field(default_factory=dict)
    disk: DiskWeather = field(default_factory=DiskWeather)
    elsewhere: float = 0.4
    ttls: tuple[float, ...] = (10.0,)
    stops_in_suspend: bool = False
    stray_s_max: float = 60.0
    stale_share: float = 0.1
    slow_answer: float = 0.0
    timeout_s: float = TIMEOUT_S
    keyed_share: float = 0.2
    answer_s: tuple[float, float] = (0.0005, 0.01)
    wiped_after_s: tuple[float, float] | None = None


CRASHES = {"kill": 3.0, "kill_soon": 3.0, "kill_at_put": 3.0, "power_off": 1.5}
MOVES = {"move": 3.0, "release": 1.0, "second_host": 1.0}
STALLS = {"pause": 2.0, "pause_long": 1.0, "cut": 1.0, "cut_long": 1.0, "suspend_long": 0.5}

PROFILES: dict[str, Profile] = {
    "mixed": Profile(
        4.0, {**CRASHES, **MOVES, **STALLS, "lose": 0.2, "wall_jump": 0.5, "outage": 0.3}, addresses=(1, 2), every_s=8.0
    ),
    "crashes": Profile(3.0, CRASHES, machines=(1, 2), every_s=6.0, elsewhere=0.3),
    "one_machine": Profile(1.0, {**CRASHES, "second_host": 2.0, "pause": 1.0}, machines=(1, 1), every_s=5.0),
    "single_machine": Profile(
        0.7,
        {**CRASHES, "second_host": 1.0, "outage": 2.0, "cut_long": 1.0, "disk_stall": 0.5, "suspend_long": 0.5},
        machines=(1, 1),
        every_s=6.0,
        settings={"ownership": "single_machine"},
    ),
    "takeovers": Profile(3.0, {**MOVES, "kill": 0.5, "pause": 0.5, "kill_at_put": 1.0}, machines=(2, 3), every_s=8.0),
    "stalls": Profile(2.0, {**STALLS, "move": 2.0, "pause_at_put": 2.0}, every_s=10.0),
    "disks": Profile(
        1.0,
        {"power_off": 2.0, "kill": 1.0, "disk_full": 1.5, "disk_broken": 1.5, "disk_stall": 2.0, "move": 1.0},
        machines=(1, 2),
        every_s=8.0,
    ),
    "bucket": Profile(1.0, {"refuse_puts": 2.0, "outage": 1.0, "cut": 1.0, "kill": 1.0, "move": 1.0}, rough=1.0),
    "chaos": Profile(
        1.0,
        {
            **CRASHES,
            **MOVES,
            **STALLS,
            "release_and_move": 1.0,
            "kill_and_move": 1.0,
            "pause_at_look": 2.0,
            "pause_at_put": 2.0,
            "disk_stall": 0.5,
            "disk_broken": 0.5,
            "disk_full": 0.5,
            "refuse_puts": 0.5,
            "lose": 0.1,
        },
        machines=(2, 3),
        addresses=(1, 2),
        every_s=3.0,
        rough=0.8,
        horizon_s=(40.0, 80.0),
        think_s=0.3,
        clients=(2, 4),
        stale_share=0.3,
        ttls=(6.0, 10.0),
    ),
    "losses": Profile(0.5, {"lose": 1.0, "kill": 1.0, "move": 1.0}, machines=(3, 3)),
    "days": Profile(
        0.7,
        {"pause_days": 3.0, "move": 2.0, "kill": 0.5, "pause_at_claim": 1.5, "release": 0.5},
        machines=(2, 2),
        every_s=0.35 * DAY_S,
        rough=0.3,
        horizon_s=(4 * DAY_S, 7 * DAY_S),
        think_s=3000.0,
        clients=(1, 2),
        pace=600.0,
        keyed_share=0.0,  # a call that slept in a paused host for days outlives its key
        settings={"snapshot_slots_max": 4, "retention_s": DAY_S, "snapshot_age_max_s": DAY_S / 4},
        stray_s_max=3 * DAY_S,
    ),
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run, all but its random choices on the way. Settings of hosts differ only in their ttl (a rolling deploy)."""

    seed: int
    name: str
    profile: Profile
    machines: int
    addresses: tuple[str, ...]
    clients: int
    horizon_s: float
    weather: Weather
    settings: ActorSettings

    def settings_with(self, ttl_s: float) -> ActorSettings:
        """The settings of a host that was deployed with another ttl."""
        return replace(self.settings, ttl_s=ttl_s)


def draw_scenario(seed: int, *, name: str | None = None, profiles: Mapping[str, Profile] = PROFILES) -> Scenario:
    """The scenario of a seed, of any profile or of the one that is named."""
    rng = random.Random(f"scenario {seed}")
    drawn = rng.choices(list(profiles), [profile.weight for profile in profiles.values()])[0]
    name = name or drawn
    profile = profiles[name]
    flush_interval_s = rng.choice((2.0, 5.0))
    settings = ActorSettings(
        flush_interval_s=flush_interval_s,
        flush_idle_s=rng.choice((0.5, 1.0, 3.0)),
        ttl_s=rng.choice(profile.ttls),
        grace_s=5.0,
        snapshot_slots_max=rng.choice((5, 20, 1000)),
        collect_interval_s=3600.0,
        retention_s=DAY_S,
        database=DatabaseSettings(page_size=1024),
    )
    weather = CALM
    if rng.random() < profile.rough:
        weather = _scaled(ROUGH, rng.choice((0.5, 1.0, 2.0)), profile.stray_s_max)
    slow_answer = max(weather.slow_answer, profile.slow_answer)
    weather = replace(weather, slow_answer=slow_answer, timeout_s=profile.timeout_s)
    return Scenario(
        seed=seed,
        name=name,
        profile=profile,
        machines=rng.randint(*profile.machines),
        addresses=tuple(f"u{index}/main" for index in range(rng.randint(*profile.addresses))),
        clients=rng.randint(*profile.clients),
        horizon_s=rng.uniform(*profile.horizon_s),
        weather=weather,
        settings=replace(settings, **profile.settings).validate(),  # type: ignore[arg-type]
    )


def _scaled(weather: Weather, factor: float, stray_s_max: float) -> Weather:
    return replace(
        weather,
        refused=weather.refused * factor,
        failed_before=weather.failed_before * factor,
        failed_after=weather.failed_after * factor,
        request_lost=weather.request_lost * factor,
        answer_lost=weather.answer_lost * factor,
        duplicated=weather.duplicated * factor,
        slow_request=weather.slow_request * factor,
        slow_answer=weather.slow_answer * factor,
        stray_s=(weather.stray_s[0], stray_s_max),
    )
