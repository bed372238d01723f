"""One precondition: its name, whether it holds, and why. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NAME_WIDTH = 18


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found out. `text` says what was seen, or what is wrong and what would mend it."""

    name: str
    holds: bool
    text: str

    def line(self) -> str:
        return f"{'ok' if self.holds else 'failed':<8}{self.name:<{NAME_WIDTH}}{self.text}"


def summary(findings: Sequence[Finding]) -> str:
    """The last line."""
    failed = sum(1 for finding in findings if not finding.holds)
    return f"{failed} of {len(findings)} checks failed" if failed else f"all {len(findings)} checks passed"
