"""Every layout's keys: built, parsed back, told apart."""

from __future__ import annotations

import pytest
from hypothesis import given

from storage.errors import InvalidRequest
from storage.layout.flat import EarlyProfileFile, FlatFile, FlatGame
from storage.layout.part import InvalidKey
from storage.layout.profiled import EnvironmentFile, ProfileFile, UserFile
from storage.layout.project import OutputFile, SceneFile
from storage.layout.recognize import BareFile, Layout, ParsedKey, is_old, layout_of, parse_key
from tests.storage.layout.layout_keys import all_keys

KNOWN = {
    "a/database.sqlite": FlatFile("a", "database.sqlite"),
    "a/highlights/clip_11_kf0.png": FlatFile("a", "highlights/clip_11_kf0.png"),
    "a/profiles/a1b2c3d4/database.sqlite": EarlyProfileFile("a", "a1b2c3d4", "database.sqlite"),
    "a/profiles.json": FlatFile("a", "profiles.json"),
    "games/432b0e2bffba.mp4": FlatGame("432b0e2bffba.mp4"),
    "dev/games/432b0e2bffba.mp4": EnvironmentFile("dev", "games/432b0e2bffba.mp4"),
    "prod/users/a/profiles/a1b2c3d4/raw_clips/x.mp4": ProfileFile("prod", "a", "a1b2c3d4", "raw_clips/x.mp4"),
    "staging/users/a/profiles.json": UserFile("staging", "a", "profiles.json"),
    "users/user123/projects/proj456/scenes/scene789/audio/narration.mp3": SceneFile(
        "user123", "proj456", "scene789", "audio", "narration.mp3"
    ),
    "users/user123/projects/proj456/output/final_video.mp4": OutputFile("user123", "proj456", "final_video.mp4"),
    "narration.mp3": BareFile("narration.mp3"),
}


@given(all_keys)
def test_what_is_built_is_parsed_back(parsed: ParsedKey) -> None:
    assert parse_key(parsed.key) == parsed


@pytest.mark.parametrize(("key", "parsed"), KNOWN.items())
def test_keys_as_they_are_documented_are_recognised(key: str, parsed: ParsedKey) -> None:
    assert (parse_key(key), parsed.key) == (parsed, key)


def test_old_and_new_formats_are_told_apart() -> None:
    assert [layout_of(key) for key in KNOWN] == [
        *[Layout.FLAT] * 5, *[Layout.PROFILED] * 3, *[Layout.PROJECT] * 2, Layout.BARE
    ]  # fmt: skip
    assert [is_old(key) for key in KNOWN] == [True] * 5 + [False] * 3 + [True] * 3


@pytest.mark.parametrize(
    "key",
    [
        "", "/", "a//b", "a/", "/a", "../a", "a/../b", "a/./b", "a/b/..", "a\\b/c", "a/b\x00", "a/.holdfast/x",
        "dev/", "dev/users", "dev/users/", "dev/users/a", "dev/users//x", "dev/users/../x", "dev/users/a/profiles",
        "dev/users/a/profiles/p", "dev/users/a/profiles//x", "dev/users/me/x", "users/u/projects/p/x",
        "users/u/projects/p/scenes/s/text/x.txt", "users/u/projects//output/x.mp4", "users/u", "flags/x", "bad id/x",
    ],
)  # fmt: skip
def test_traversal_empty_parts_and_wrong_ids_are_refused(key: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_key(key)


@pytest.mark.parametrize("bad", ["", ".", "..", "a/b", "a\\b", "a\x00", ".holdfast", "x" * 300])
def test_no_part_of_a_project_key_leads_elsewhere(bad: str) -> None:
    for fields in ((bad, "p", "f"), ("u", bad, "f"), ("u", "p", bad)):
        with pytest.raises(InvalidKey):
            OutputFile(*fields)
    for place in range(5):
        values = ["u", "p", "s", "image", "f"]
        values[place] = bad
        with pytest.raises(InvalidKey):
            SceneFile(*values)
