"""When a size is spoken of."""

from __future__ import annotations

import pytest

from storage.r2_sqlite.settings import R2ModeSettings
from storage.r2_sqlite.size_watch import Level, SizeWatch

KIB = 1024


@pytest.mark.parametrize(
    ("size", "level"),
    [
        (0, None),
        (512 * KIB, None),
        (512 * KIB + 1, Level.INFO),
        (1024 * KIB, Level.INFO),
        (1024 * KIB + 1, Level.WARNING),
    ],
)
def test_the_seeds_thresholds(size: int, level: Level | None) -> None:
    notice = SizeWatch(R2ModeSettings()).notice("alice", size, 0.0)
    assert (notice.level if notice else None) is level


def test_once_per_user_and_hour_and_counted_every_time() -> None:
    watch = SizeWatch(R2ModeSettings())
    said = [watch.notice("alice", 600 * KIB, at) is not None for at in (0.0, 1.0, 3599.9, 3600.0, 3601.0)]
    assert said == [True, False, False, True, False]
    assert watch.notice("bob", 600 * KIB, 1.0) is not None
    assert (watch.infos, watch.warnings) == (6, 0)


def test_an_info_does_not_silence_the_warning() -> None:
    watch = SizeWatch(R2ModeSettings())
    watch.notice("alice", 600 * KIB, 0.0)
    notice = watch.notice("alice", 1_258_291, 1.0)
    assert notice is not None
    assert notice.text == (
        "DATABASE MIGRATION RECOMMENDED: Database size (1.2MB) exceeds 1MB. "
        "Consider migrating archived data to Durable Objects."
    )


def test_a_bounded_number_of_users_is_remembered() -> None:
    watch = SizeWatch(R2ModeSettings(users_watched_max=2))
    for user in "abc":
        watch.notice(user, 600 * KIB, 0.0)
    assert watch.notice("c", 600 * KIB, 1.0) is None
    assert watch.notice("a", 600 * KIB, 1.0) is not None
