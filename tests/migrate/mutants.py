"""The holes of migration in docs/protocol.md as mutants of the real code, and the troubles that bring them out.

Each is searched for with the seeds 1, 2, 3… of its plan; the correct code has to be clean under the same plans.
Finding 22 takes a longer story than chance tells, and finding 26's rule stands in the activation itself: both are in
test_findings.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from actors.call import Durability
from actors.durability.rules import Rules
from migrate.decision import Goal
from migrate.rules import MigrationRules
from storage.log.claim import ClaimRules
from storage.r2_sqlite.rules import FileRules
from tests.migrate.world import EVERYTHING, AllRules, Plan
from tests.simulation.weather import Weather


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken rule. `finding` is its number among the holes; one hole may have several mutants."""

    finding: str
    rules: AllRules
    plan: Plan = EVERYTHING


LOST_ANSWERS = Weather(answer_lost=0.12, failed_after=0.08, duplicated=0.1, slow_request=0.05, timeout_s=4.0)
LATE_PUTS = Weather(slow_request=0.15, duplicated=0.2, stray_s=(0.5, 20.0), answer_lost=0.05, timeout_s=3.0)
QUIET = replace(EVERYTHING, accidents={"pause_driver": 1.0}, rough=0.0)
TO_AND_FRO = replace(QUIET, driver_rest_s=0.3, think_s=0.25)
SLEEPY_DRIVERS = replace(
    EVERYTHING,
    accidents={"sleep_driver_at_look": 1.0},
    every_s=0.8,
    rough=0.0,
    drivers=4,
    driver_rest_s=0.3,
    recorded=0.0,
)
SLEEPY_HOST = replace(
    EVERYTHING,
    accidents={"sleep_host_at_look": 2.0, "end_activation": 2.0},
    every_s=0.4,
    rough=0.0,
    drivers=3,
    driver_rest_s=0.3,
    recorded=0.0,
    think_s=0.3,
)
LATE = replace(EVERYTHING, weather=LATE_PUTS, rough=1.0, recorded=0.0, drivers=3, driver_rest_s=0.3, think_s=0.2)
LOST = replace(EVERYTHING, weather=LOST_ANSWERS, rough=1.0, keyed=0.0, think_s=0.2)
UNFLUSHED = replace(TO_AND_FRO, levels=(Durability.LOCAL,), flush_interval_s=8.0)
CRASHING_HOST = replace(
    EVERYTHING, accidents={"kill_host": 1.0}, every_s=2.0, rough=0.0, goals=(Goal.ACTOR, Goal.R2), driver_rest_s=0.3
)
ENDING = replace(
    EVERYTHING,
    accidents={"end_activation": 1.0},
    every_s=0.15,
    rough=0.0,
    keyed=0.0,
    levels=(Durability.R2,),
    goals=(Goal.ACTOR,),
    think_s=0.1,
)
FINALIZING = replace(TO_AND_FRO, finalizes=0.4, recorded=1.0)


def _file(**off: bool) -> AllRules:
    """A rule of the file is broken for everybody who writes it."""
    rules = FileRules(**off)
    return AllRules(file=rules, migration=MigrationRules(file=rules))


def _migration(**off: bool) -> AllRules:
    return AllRules(migration=replace(MigrationRules(), **off))  # type: ignore[arg-type]


NO_COMPARING = Rules(claim=ClaimRules(compares_generations=False))

MUTANTS = (
    Mutant("20, a lost answer runs again", _file(looks_in_ring=False), LOST),
    Mutant("20, the seal forgets the ring", _file(keeps_ring=False), LOST),
    Mutant("21", _file(seals_body=False), replace(LATE, horizon_s=10.0)),
    Mutant(
        "23",
        AllRules(MigrationRules(imports_into_next_slot=False, verifies=False), actor=NO_COMPARING),
        TO_AND_FRO,
    ),
    Mutant("24, an import that slept", _migration(gives_way=False), SLEEPY_DRIVERS),
    Mutant("24, an activation that slept", AllRules(actor=NO_COMPARING), SLEEPY_HOST),
    Mutant("25, closed over an owner", _migration(waits_for_release=False), UNFLUSHED),
    Mutant("25, exported before closed", _migration(exports_after_close=False), UNFLUSHED),
    Mutant("27", _file(keeps_tombstone=False), FINALIZING),
    Mutant("28", _file(reads_stop_at_cut_over=False), TO_AND_FRO),
    Mutant("30", AllRules(recovers_while_returning=False), CRASHING_HOST),
)
