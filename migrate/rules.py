"""The rules of migration as switches, all on. A rule that is off is a mutant: the tests must catch what it breaks.

Only a constructor can change them; no setting, flag or environment variable reaches here. The numbers are those of
docs/protocol.md, "holes".
"""

from __future__ import annotations

from dataclasses import dataclass, field

from storage.r2_sqlite.rules import FileRules


@dataclass(frozen=True, slots=True)
class MigrationRules:
    """Every field's default is the rule; anything else breaks it on purpose."""

    file: FileRules = field(default_factory=FileRules)  # findings 20 to 22, 27
    imports_into_next_slot: bool = True  # finding 23: an import is never "slot 1, done already"
    gives_way: bool = True  # finding 24: an import stops where the log has begun a later generation
    verifies: bool = True  # rule 17
    waits_for_release: bool = True  # finding 25: no CLOSE over an epoch that is open
    exports_after_close: bool = True  # finding 25: an export is of a closed log
