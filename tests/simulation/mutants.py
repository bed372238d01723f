"""The holes of docs/protocol.md as mutants of the real code: which rule each one breaks, and where it is looked for.

Each mutant is searched for with the seeds 1, 2, 3… of a profile of its own: the same machinery and the same invariants
as everywhere, with the accidents that the hole needs made frequent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from actors.call import Durability
from actors.durability.rules import Rules
from storage.log.claim import ClaimRules
from tests.simulation.disk import DiskWeather
from tests.simulation.scenario import DAY_S, PROFILES, Profile

LOCAL = {Durability.LOCAL: 1.0}
MOSTLY_READS = {"write_share": 0.3, "think_s": 0.25, "stale_share": 0.5, "clients": (2, 3)}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken rule. `finding` is its number among the holes; one hole may have several mutants."""

    finding: str
    rules: Rules
    profile: Profile


def a_profile(accidents: dict[str, float], **changes: object) -> Profile:
    """A targeted profile: two machines unless said otherwise."""
    usual = {"machines": (2, 2), "every_s": 8.0, "rough": 0.3, "clients": (1, 3), "horizon_s": (50.0, 100.0)}
    values: dict[str, object] = {**usual, "think_s": 0.5, **changes}
    return Profile(1.0, accidents, **values)  # type: ignore[arg-type]


MOVING = a_profile({"move": 1.0}, levels=LOCAL)
DUELS = a_profile({"move": 3.0, "kill": 1.0}, machines=(3, 3), every_s=5.0)
KILLING_AND_MOVING = a_profile({"kill_and_move": 1.0}, levels=LOCAL, every_s=15.0)
CRASHING = a_profile({"kill": 1.0, "kill_soon": 1.0, "kill_at_put": 1.0}, machines=(1, 1), every_s=4.0, elsewhere=0.0)
LATE_LOOKS = a_profile({"pause_at_look": 3.0, "move": 2.0}, rough=0.0, **MOSTLY_READS)
LATE_ANSWERS = a_profile({"move": 1.0, "pause_at_put": 1.0}, rough=1.0, slow_answer=0.15, **MOSTLY_READS)
LATE_RELEASES = a_profile({"release_and_move": 1.0}, rough=1.0, slow_answer=0.4, every_s=5.0, **MOSTLY_READS)
DEPLOYS = a_profile({"move": 1.0, "pause_long": 1.0, "kill": 0.5}, ttls=(3.0, 30.0), **MOSTLY_READS)
SUSPENDED = a_profile({"suspend_long": 2.0, "move": 2.0}, stops_in_suspend=True, **MOSTLY_READS)
STALLED_SYNCS = a_profile(
    # rule 7d would hold these replies too, were the flush interval not longer than the grace of a takeover
    {"stall_and_move": 2.0, "kill": 1.0},
    levels=LOCAL,
    think_s=0.2,
    stale_share=0.0,
    settings={"flush_interval_s": 30.0, "flush_idle_s": 30.0},
)
SECOND_HOSTS = a_profile({"second_host": 3.0, "pause": 1.0, "pause_long": 1.0, "kill": 1.0}, machines=(1, 1))
LATE_FLUSHES = a_profile({"refuse_puts_long": 1.0}, levels=LOCAL, horizon_s=(90.0, 120.0), rough=0.0, stale_share=0.0)
HINTS = a_profile(
    {"refuse_hints": 1.0, "move": 1.0},
    every_s=0.2 * DAY_S,
    horizon_s=(4 * DAY_S, 5 * DAY_S),
    think_s=2000.0,
    pace=600.0,
    settings=PROFILES["days"].settings,
    stray_s_max=DAY_S,
)
SLEEPING_CLAIMS = a_profile(
    {"pause_at_claim": 3.0, "move": 2.0, "kill": 1.0},
    machines=(3, 3),
    every_s=0.1 * DAY_S,
    horizon_s=(4 * DAY_S, 7 * DAY_S),
    think_s=2500.0,
    pace=600.0,
    keyed_share=0.0,
    settings={**PROFILES["days"].settings, "snapshot_slots_max": 3},
    stray_s_max=DAY_S,
)
IMPATIENT = a_profile({"move": 3.0, "cut": 3.0}, levels=LOCAL, rough=0.0, every_s=4.0)
PATIENT = replace(IMPATIENT, timeout_s=15.0)
WIPED = a_profile(
    {"kill": 2.0, "kill_and_move": 1.0, "power_off": 0.5},
    levels=LOCAL,
    rough=0.0,
    every_s=5.0,
    horizon_s=(25.0, 40.0),
    wiped_after_s=(0.2, 4.0),
    stale_share=0.0,
)
LOST_BOOKMARKS = a_profile({"move": 1.0, "pause_long": 1.0, "kill": 1.0, "power_off": 1.0}, write_share=0.9)
REPLAYS = a_profile({"kill_at_put": 2.0, "power_off": 2.0, "kill": 1.0}, machines=(1, 1), every_s=4.0, rough=1.0)
TORN = DiskWeather(sync_s=(0.001, 0.3))

MUTANTS = (
    Mutant("1", Rules(claim=ClaimRules(waits=False)), MOVING),
    Mutant("2", Rules(hands_over_when_fenced=False), MOVING),
    Mutant("3", Rules(claim=ClaimRules(carries_journal=False)), CRASHING),
    Mutant("4", Rules(replays_only_above_log=False), REPLAYS),
    Mutant("5", Rules(claim=ClaimRules(holder_never_gives_way=False)), KILLING_AND_MOVING),
    Mutant("6", Rules(opens_after_handover=False), MOVING),
    Mutant("7", Rules(dead_needs_lock=False), MOVING),
    Mutant("8", Rules(claim=ClaimRules(only_opened_counts=False)), DUELS),
    Mutant("9", Rules(closes_gate_before_release=False), LATE_RELEASES),
    Mutant("10", Rules(confirms_from_send=False), LATE_LOOKS),
    Mutant("11", Rules(confirms_from_first_send=False), LATE_ANSWERS),
    Mutant("12", Rules(freezes_body=False), REPLAYS),
    Mutant("13", Rules(waits_predecessors_ttl=False), DEPLOYS),
    Mutant("13, a clock that stops in suspend", Rules(), SUSPENDED),
    Mutant("13, a client as patient as a takeover", Rules(), PATIENT),
    Mutant("14", Rules(locks=False), SECOND_HOSTS),
    Mutant("15", Rules(checks_age_after_sync=False), STALLED_SYNCS),
    Mutant("18, an owner that slept", Rules(relists_after_pause=False), PROFILES["days"]),
    Mutant("18, a claimant that slept", Rules(relists_after_claim=False), SLEEPING_CLAIMS),
    Mutant("18, the hint", Rules(distrusts_hint=False), HINTS),
    Mutant("19", Rules(snapshots_settled_only=False), MOVING),
    Mutant("31", Rules(claim=ClaimRules(matches_by_claim_id=False)), WIPED),
    Mutant("32", Rules(bookmark_has_epoch=False), LOST_BOOKMARKS),
    Mutant("33", Rules(holds_when_flush_is_late=False, looks_wait_for_puts=False), LATE_FLUSHES),
)
