"""Settings of a migration: values, checked once. Reading the environment is the front door's work."""

from __future__ import annotations

from dataclasses import dataclass

from storage.errors import InvalidRequest

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationSettings:
    """Bounds of moving one address. Times in seconds.

    `pause_s_max`: how long writes may wait at a cut-over before it is called off; 0 for no bound. `release_wait_s`: how
    long an owner is asked to end before the driver gives up for this time.
    """

    pause_s_max: float = 30.0
    release_wait_s: float = 120.0
    release_ask_s: float = 1.0
    retention_s: float = 30 * DAY_S
    steps_max: int = 400

    def validate(self) -> MigrationSettings:
        """Self, or `InvalidRequest` naming the setting at fault."""
        for name in ("release_wait_s", "release_ask_s", "steps_max"):
            if getattr(self, name) <= 0:
                raise InvalidRequest(f"{name} is {getattr(self, name)}, expected more than 0")
        if self.pause_s_max < 0:
            raise InvalidRequest(f"pause_s_max is {self.pause_s_max:g}, expected 0 or more")
        if self.retention_s < DAY_S:
            raise InvalidRequest(f"retention_s is {self.retention_s:g}, expected at least {DAY_S:g}")
        return self
