"""One generator process: reads its plan from standard input, says `ready`, starts when told, prints what it found.

stdin:  the plan as one line of JSON; later one line with the start on the monotonic clock, in nanoseconds
stdout: `ready`; later the outcome as one line of JSON
"""

from __future__ import annotations

import gc
import json
import random
import sys

from bench.load.client import LoadClients
from bench.load.plan import LoadPlan
from bench.load.schedule import arrival_times_ns


def main() -> int:
    """0, or an exception that the parent shows."""
    plan = LoadPlan.from_json(json.loads(sys.stdin.readline()))
    endpoint, schedule = plan.endpoint, plan.schedule
    clients = LoadClients(endpoint.host, endpoint.port, connections=plan.connections, next_request=plan.requests())
    arrivals = arrival_times_ns(schedule, random.Random(plan.seed)) if schedule.open else iter(())
    gc.disable()  # nothing here makes cycles, and a pause would be charged to the server
    print("ready", flush=True)
    outcome = clients.run(schedule, arrivals, start_ns=int(sys.stdin.readline()))
    print(json.dumps(outcome.to_json()), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
