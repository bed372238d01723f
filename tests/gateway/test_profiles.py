"""The two documents, as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import DefaultProfile, ProfileNotFound, TooManyProfiles
from gateway.profiles import (
    Profiles,
    check_name,
    decode_profiles,
    decode_selection,
    encode_profiles,
    encode_selection,
    first_profiles,
    new_profile_id,
)
from storage.errors import CorruptObject, InvalidRequest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
IDS = st.from_regex(r"[0-9a-f]{8}", fullmatch=True)
NAMES = st.none() | st.text(max_size=10)


@st.composite
def documents(draw: st.DrawFn) -> Profiles:
    """Any document of this version or a later one."""
    ids = draw(st.lists(IDS, min_size=1, max_size=4, unique=True))
    entries = {profile: draw(st.dictionaries(st.text(), JSON, max_size=2)) | {"name": draw(NAMES)} for profile in ids}
    return Profiles(draw(st.dictionaries(st.text(), JSON, max_size=2)) | {"default": ids[0], "profiles": entries})


@given(documents())
def test_a_document_survives_its_encoding(profiles: Profiles) -> None:
    assert decode_profiles(encode_profiles(profiles), "x").fields == profiles.fields


@given(documents(), IDS, NAMES, st.text(min_size=1, max_size=10))
def test_changes_touch_nothing_but_what_they_name(
    profiles: Profiles, profile: str, name: str | None, other: str
) -> None:
    if profile in profiles:
        return
    added = profiles.add(profile, name, profiles_max=99)
    renamed = added.rename(profile, other)
    assert renamed.entry(profile) == {"name": other}
    assert renamed.remove(profile) == profiles
    assert renamed.default == profiles.default
    renamed_default = profiles.rename(profiles.default, other)
    assert {**renamed_default.entry(profiles.default), "name": 0} == {**profiles.entry(profiles.default), "name": 0}


def test_changes_that_cannot_be() -> None:
    profiles = first_profiles("aaaaaaaa")
    with pytest.raises(DefaultProfile):
        profiles.remove("aaaaaaaa")
    with pytest.raises(ProfileNotFound):
        profiles.remove("bbbbbbbb")
    with pytest.raises(ProfileNotFound):
        profiles.rename("bbbbbbbb", "x")
    with pytest.raises(TooManyProfiles):
        profiles.add("bbbbbbbb", None, profiles_max=1)


def test_first_document_is_the_documented_one() -> None:
    assert encode_profiles(first_profiles("a1b2c3d4")).decode() == (
        '{\n  "default": "a1b2c3d4",\n  "profiles": {\n    "a1b2c3d4": {\n      "name": null\n    }\n  }\n}'
    )
    assert encode_selection({}, "a1b2c3d4").decode() == '{\n  "profileId": "a1b2c3d4"\n}'


@given(st.binary(min_size=4, max_size=8))
def test_ids_are_8_lower_case_hex_digits(random: bytes) -> None:
    profile = new_profile_id(random)
    assert len(profile) == 8
    assert set(profile) <= set("0123456789abcdef")


@given(st.dictionaries(st.text(), JSON, max_size=3), IDS)
def test_selection_keeps_the_fields_it_does_not_know(fields: dict[str, object], profile: str) -> None:
    selected, kept = decode_selection(encode_selection(fields, profile), "x")
    assert selected == profile
    assert kept == {**fields, "profileId": profile}


@pytest.mark.parametrize("body", [b"", b"null", b'"x"', b"{}", b'{"profileId":null}', b'{"profileId":1}'])
def test_damaged_selection_is_corrupt(body: bytes) -> None:
    with pytest.raises(CorruptObject, match="selected"):
        decode_selection(body, "selected")


@pytest.mark.parametrize("name", ["", "   ", "\t", "x" * 201, "a\nb", "a\x7fb", "a\u2028b"])
def test_names_that_cannot_be_shown_on_one_line_are_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        check_name(name, length_max=200)
