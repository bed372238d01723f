"""What one generator process is told: whom to load, with what, for how long. Travels as JSON."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.load.http import encode_request
from bench.load.schedule import Schedule
from bench.workload.dialect import Dialect
from bench.workload.mix import Workload, draw
from bench.workload.population import Population, user_name

# Requests are made in advance and used in a circle: making one costs more than sending it.
REQUESTS_MADE = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a contender answers. `path` has `{user}` in it."""

    host: str
    port: int
    path: str
    dialect: Dialect = Dialect.PER_USER
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self, user: int, body: bytes) -> bytes:
        """The request for one user's database."""
        path = self.path.format(user=user_name(user))
        return encode_request("POST", path, host=f"{self.host}:{self.port}", headers=self.headers, body=body)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """`seed` differs between the processes of one run."""

    endpoint: Endpoint
    workload: Workload
    schedule: Schedule
    connections: int
    seed: int

    def requests(self) -> Callable[[], tuple[str, bytes]]:
        """A source of requests without end."""
        rng, made = random.Random(self.seed), []
        for _ in range(REQUESTS_MADE):
            kind, user, body = draw(self.workload, self.endpoint.dialect, rng)
            made.append((kind, self.endpoint.encode(user, body)))
        position = -1

        def take() -> tuple[str, bytes]:
            nonlocal position
            position = (position + 1) % REQUESTS_MADE
            return made[position]

        return take

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LoadPlan:
        endpoint = {**data["endpoint"], "dialect": Dialect(data["endpoint"]["dialect"])}
        work = {**data["workload"], "population": Population(**data["workload"]["population"])}
        return cls(
            endpoint=Endpoint(**endpoint),
            workload=Workload(**work),
            schedule=Schedule(**data["schedule"]),
            connections=data["connections"],
            seed=data["seed"],
        )
