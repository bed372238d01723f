"""The rules of r2 mode as switches, all on. A rule that is off is a mutant: the tests must catch what it breaks.

Only a constructor can change them; no setting, flag or environment variable reaches here. The numbers are those of
docs/protocol.md, "holes".
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileRules:
    """Every field's default is the rule; anything else breaks it on purpose."""

    looks_in_ring: bool = True  # finding 20: a lost answer is looked up in the ring before anything runs again
    keeps_ring: bool = True  # finding 20: a change of state keeps the ring
    seals_body: bool = True  # finding 21: a change of state changes the body, so the ETag
    fresh_nonce: bool = True  # finding 22: contents that come back never have the body they had
    keeps_tombstone: bool = True  # finding 27: a file that is over is replaced by a tombstone, never deleted
    reads_stop_at_cut_over: bool = True  # finding 28: the file answers no reads once the actor serves
