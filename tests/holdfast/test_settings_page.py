"""docs/settings.md is what the settings say."""

from __future__ import annotations

from pathlib import Path

from holdfast.setting_words import SECTION_TITLES, WORDS
from holdfast.settings import SECTIONS, Settings
from holdfast.settings_page import settings_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


def test_every_setting_has_its_sentence_and_no_sentence_is_left_over() -> None:
    assert {setting.variable for setting, _, _ in Settings().rows()} ^ set(WORDS) == set()
    assert set(SECTIONS) == set(SECTION_TITLES)


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_page(), "run `make docs`"
