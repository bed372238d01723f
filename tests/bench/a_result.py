"""Results of a made-up run, for tests of what is made from results."""

from __future__ import annotations

from collections import Counter

from bench.load.outcome import Outcome
from bench.measurement import Measurement
from bench.results import Results

READ, OFFERED = "read by key, 1 client, 1 actor", "application mix, 500/s offered, 100 actors"
OURS, PEER = "holdfast (shared)", "workerd Durable Objects"


def a_measurement(
    scenario: str, contender: str, number: int, *, requests: int, latency_ms: float, failures: int = 0
) -> Measurement:
    outcome = Outcome(seconds=1.0, failures=Counter({"503": failures} if failures else {}))
    for _ in range(requests):
        outcome.histogram("read_game").record(int(latency_ms * 1e6))
    return Measurement(scenario=scenario, contender=contender, round=number, outcome=outcome, cpu_s=0.5, sync_ms=0.2)


def a_result() -> Results:
    """Two rounds in which ours is three times as fast."""
    machine = {
        "processor": "a processor",
        "cores": 2,
        "memory_gib": 8.0,
        "system": "Linux",
        "file_system": "ext4",
        "fdatasync_ms_p50": 0.2,
        "load_average": [0.1, 0.1, 0.1],
        "python": "3.11",
        "sqlite_ours": "3.54.1",
        "sqlite_peers": "3.40.1",
        "packages": {"apsw": "3.54.1"},
        "commit": "0123456789ab",
    }
    measurements = [
        a_measurement(scenario, contender, number, requests=requests, latency_ms=latency_ms)
        for number in range(2)
        for scenario in (READ, OFFERED)
        for contender, requests, latency_ms in ((OURS, 300, 0.25), (PEER, 100, 1.0))
    ]
    return Results(
        command="holdfast bench",
        made_at="2026-01-01 00:00 UTC",
        machine=machine,
        effort={"rounds": 2, "duration_s": 1.0, "warmup_s": 0.3, "generators": 1},
        sessions={"Shared placement and peers": measurements},
        figures={
            "activation": [
                {"contender": name, "mebibytes": size, "count": 3, "p50_ms": 2.0, "p95_ms": 3.0}
                for name in (OURS, PEER)
                for size in (0, 10)
            ],
            "cost": [{"way": "one PUT per write", "dollars_per_hour": 0.001, "class_a": 100}],
        },
        left_out={"FastAPI + PostgreSQL": "not installed"},
        versions={"workerd": "workerd 1"},
    )
