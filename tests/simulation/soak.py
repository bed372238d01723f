"""`python -m tests.simulation.soak --seeds 10000 [--from 1] [--profile NAME]`: many seeds of the real code, one line
per violation with the command that shows its story; ends with status 1 where there was one.

`--tell SEED` runs one seed and prints what happened in it.
"""

from __future__ import annotations

import argparse
import collections
import logging
import sys
import time
from collections.abc import Iterator

from tests.simulation.scenario import PROFILES, draw_scenario
from tests.simulation.software import simulate
from tests.simulation.world import Run

REPORT_EVERY = 500


def soak(first: int, seeds: int, profile: str | None) -> Iterator[Run]:
    """Run seed after seed."""
    for seed in range(first, first + seeds):
        yield simulate(draw_scenario(seed, name=profile))


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns its exit status."""
    parser = argparse.ArgumentParser(description="run many simulated histories of the real code")
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--from", dest="first", type=int, default=1)
    parser.add_argument("--profile", choices=sorted(PROFILES))
    parser.add_argument("--tell", type=int, metavar="SEED")
    options = parser.parse_args(arguments)
    if options.tell is not None:
        return _tell(options.tell, options.profile)
    logging.disable(logging.CRITICAL)
    began, bad, kinds = time.monotonic(), 0, collections.Counter[str]()
    for count, run in enumerate(soak(options.first, options.seeds, options.profile), start=1):
        if run.violations:
            bad += 1
            kinds[run.violations[0].split(":")[0]] += 1
            print(f"seed {run.scenario.seed} ({run.scenario.name}): {run.violations[0]}", flush=True)
        if count % REPORT_EVERY == 0:
            print(f"{count} seeds, {bad} bad, {count / (time.monotonic() - began):.1f} seeds/s", flush=True)
    print(f"{options.seeds} seeds, {bad} bad {dict(kinds) or ''}, {time.monotonic() - began:.0f} s")
    return 1 if bad else 0


def _tell(seed: int, profile: str | None) -> int:
    logging.basicConfig(level=logging.INFO, format="           %(message)s %(address)s", stream=sys.stdout)
    run = simulate(draw_scenario(seed, name=profile), tell=True)
    print("\n".join(run.notes))
    print("\n".join(run.violations) or "no violation")
    return 1 if run.violations else 0


if __name__ == "__main__":
    sys.exit(main())
