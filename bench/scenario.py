"""What is loaded onto whom: scenarios by name, and how long each is run."""

from __future__ import annotations

from dataclasses import dataclass

from bench.load.schedule import Schedule
from bench.workload.mix import Workload, workload
from bench.workload.population import FULL, SMALL

# Users of the scenarios lie apart, so that one scenario's rows are not another's.
ONE_ACTOR = 900_000
MIX_USERS = 100
MANY_ACTORS = 1000
FIRST_OF_MANY = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`rate_per_s` None is a closed loop."""

    name: str
    workload: Workload
    connections: int
    rate_per_s: float | None = None

    def schedule(self, *, warmup_s: float, duration_s: float) -> Schedule:
        return Schedule(warmup_s=warmup_s, duration_s=duration_s, rate_per_s=self.rate_per_s)

    def users(self) -> range:
        """The users that must be populated before."""
        return range(self.workload.first_user, self.workload.first_user + self.workload.users)


def _scenarios() -> tuple[Scenario, ...]:
    read, insert = (workload(name, first_user=ONE_ACTOR) for name in ("read", "insert"))
    many_read, many_insert = (
        workload(name, users=MANY_ACTORS, first_user=FIRST_OF_MANY, population=SMALL) for name in ("read", "insert")
    )
    mix = workload("mix", users=MIX_USERS, population=FULL)
    return (
        Scenario(name="read by key, 1 client, 1 actor", workload=read, connections=1),
        Scenario(name="read by key, 32 clients, 1 actor", workload=read, connections=32),
        Scenario(name="insert, 1 client, 1 actor", workload=insert, connections=1),
        Scenario(name="insert, 32 clients, 1 actor", workload=insert, connections=32),
        Scenario(name="application mix, 32 clients, 100 actors", workload=mix, connections=32),
        Scenario(name="application mix, 500/s offered, 100 actors", workload=mix, connections=64, rate_per_s=500.0),
        Scenario(name="read by key, 32 clients, 1,000 actors", workload=many_read, connections=32),
        Scenario(name="insert, 32 clients, 1,000 actors", workload=many_insert, connections=32),
    )


ALL = _scenarios()
ONE = ALL[:4]
MIXED = ALL[4:6]
MANY = ALL[6:]
