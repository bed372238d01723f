"""Settings of r2 mode."""

from __future__ import annotations

import pytest

from storage.errors import InvalidRequest
from storage.r2_sqlite.settings import R2ModeSettings


def test_saves_may_follow_each_other_at_once_and_races_may_be_given_up_at_once() -> None:
    R2ModeSettings(save_interval_s=0.0, races_max=0).validate()


@pytest.mark.parametrize("name", list(R2ModeSettings.__slots__))
def test_no_bound_is_negative(name: str) -> None:
    with pytest.raises(InvalidRequest, match=name):
        R2ModeSettings(**{name: -1}).validate()


def test_r2_is_given_a_second_per_key_by_default() -> None:
    assert R2ModeSettings().save_interval_s == 1.0


def test_a_share_is_at_most_everything() -> None:
    R2ModeSettings(shadow_share=1.0).validate()
    with pytest.raises(InvalidRequest, match="shadow_share"):
        R2ModeSettings(shadow_share=1.5).validate()
