"""Everything one run found, as a JSON file and back. Raw histograms are kept, so that reports can be made again.

Pure but for reading and writing the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.load.outcome import Outcome
from bench.measurement import Measurement

VERSION = 1


@dataclass(slots=True)
class Results:
    """`sessions`: name -> measurements; `figures`: name -> rows of plain values; `left_out`: contender -> why."""

    command: str
    made_at: str
    machine: Mapping[str, Any]
    effort: Mapping[str, Any]
    sessions: dict[str, list[Measurement]] = field(default_factory=dict)
    figures: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """The whole as one file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.to_json()) + "\n", "utf-8")

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "command": self.command,
            "made_at": self.made_at,
            "machine": dict(self.machine),
            "effort": dict(self.effort),
            "versions": self.versions,
            "left_out": self.left_out,
            "sessions": {name: [m.to_json() for m in found] for name, found in self.sessions.items()},
            "figures": self.figures,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Results:
        """Raises ValueError for a file of another version."""
        if data.get("version") != VERSION:
            raise ValueError(f"results of version {data.get('version')!r}, expected {VERSION}")
        return cls(
            command=data["command"],
            made_at=data["made_at"],
            machine=data["machine"],
            effort=data["effort"],
            sessions={name: [_measurement(m) for m in found] for name, found in data["sessions"].items()},
            figures=data["figures"],
            left_out=data["left_out"],
            versions=data["versions"],
        )


def _measurement(data: Mapping[str, Any]) -> Measurement:
    outcome = Outcome.from_json(data["outcome"])
    return Measurement(
        scenario=data["scenario"],
        contender=data["contender"],
        round=data["round"],
        outcome=outcome,
        cpu_s=data["cpu_us_per_request"] * outcome.requests / 1e6,
        sync_ms=data["sync_ms"],
    )
