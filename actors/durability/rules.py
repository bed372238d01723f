"""The protocol's rules as switches, all on. A rule that is off is a mutant: the simulator must catch what it breaks.

Only a constructor can change them; no setting, flag or environment variable reaches here. The numbers are those of
docs/protocol.md, "holes".
"""

from __future__ import annotations

from dataclasses import dataclass, field

from storage.log.claim import ClaimRules


@dataclass(frozen=True, slots=True)
class Rules:
    """Every field's default is the rule; anything else breaks it on purpose."""

    claim: ClaimRules = field(default_factory=ClaimRules)  # findings 1, 3, 5, 8, 31
    hands_over_when_fenced: bool = True  # finding 2
    replays_only_above_log: bool = True  # finding 4
    opens_after_handover: bool = True  # finding 6
    dead_needs_lock: bool = True  # finding 7: a mere word that the predecessor is dead ends the wait
    closes_gate_before_release: bool = True  # finding 9
    confirms_from_send: bool = True  # finding 10
    confirms_from_first_send: bool = True  # finding 11
    freezes_body: bool = True  # finding 12
    waits_predecessors_ttl: bool = True  # finding 13
    locks: bool = True  # finding 14
    checks_age_after_sync: bool = True  # finding 15
    relists_after_pause: bool = True  # finding 18: an owner that slept (rule 7c)
    relists_after_claim: bool = True  # finding 18: a claimant that slept (rule 10)
    distrusts_hint: bool = True  # finding 18
    snapshots_settled_only: bool = True  # finding 19
    bookmark_has_epoch: bool = True  # finding 32
    holds_when_flush_is_late: bool = True  # finding 33
    looks_wait_for_puts: bool = True  # rule 7a; it holds replies during refused writes as well, which hides finding 33
