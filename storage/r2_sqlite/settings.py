"""Settings of r2 mode: values, checked once. Reading the environment is the front door's work."""

from __future__ import annotations

from dataclasses import dataclass

from storage.errors import InvalidRequest

KIB = 1 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class R2ModeSettings:
    """Bounds of a request that loads, runs and saves a whole file. Sizes in bytes, times in seconds.

    `save_interval_s`: least time between two writes of one key; R2 takes one per second, a local store any number.
    `shadow_share`: of the reads, from 0 to 1, that run a second time for comparison.
    """

    file_bytes_max: int = 64 << 20
    files_at_once: int = 16
    races_max: int = 5
    sends_max: int = 6
    save_interval_s: float = 1.0
    saves_waiting_max: int = 64
    retry_after_s: float = 1.0
    size_info_bytes: int = 512 * KIB
    size_warning_bytes: int = 1024 * KIB
    notice_interval_s: float = 3600.0
    users_watched_max: int = 10_000
    shadow_share: float = 0.0

    def validate(self) -> R2ModeSettings:
        """Self, or `InvalidRequest` naming the setting at fault."""
        for name in self.__slots__:
            if getattr(self, name) <= 0 and name not in ("save_interval_s", "races_max", "shadow_share"):
                raise InvalidRequest(f"{name} is {getattr(self, name)}, expected more than 0")
        if self.save_interval_s < 0 or self.races_max < 0:
            raise InvalidRequest("save_interval_s and races_max: expected 0 or more")
        if not 0 <= self.shadow_share <= 1:
            raise InvalidRequest(f"shadow_share is {self.shadow_share:g}, expected 0 to 1")
        return self
