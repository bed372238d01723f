"""From flat to profiled keys and back, one to one."""

from __future__ import annotations

from hypothesis import given

from storage.layout.flat import EarlyProfileFile, FlatFile, FlatKey, parse_flat
from storage.layout.profiled import EnvironmentFile, ProfileFile, parse_profiled
from storage.layout.relocation import is_database, is_document, new_key, old_key
from tests.storage.layout.layout_keys import environments, flat_keys, ids, profiled_keys


@given(flat_keys, environments)
def test_a_moved_key_comes_back(old: FlatKey, env: str) -> None:
    new = parse_profiled(new_key(old, env=env, default_profile="d0"))
    assert isinstance(new, ProfileFile | EnvironmentFile)
    found = old_key(new, default_profile="d0")
    if isinstance(old, EarlyProfileFile) and old.profile == "d0":
        return  # shares its place with the flat file of the same path: the plan refuses such a pair
    assert found == old.key or (found is None and is_document(old))


@given(flat_keys, environments, ids)
def test_no_moved_key_lies_in_an_actors_log(old: FlatKey, env: str, profile: str) -> None:
    new = parse_profiled(new_key(old, env=env, default_profile=profile))
    assert not (isinstance(new, ProfileFile) and new.path.partition("/")[0] == "log")


@given(profiled_keys)
def test_what_goes_back_is_a_flat_key_or_has_no_place(new: object) -> None:
    if isinstance(new, ProfileFile | EnvironmentFile):
        back = old_key(new, default_profile="d0")
        if back is not None:
            assert new_key(parse_flat(back), env=new.env, default_profile="d0") == new.key


def test_databases_and_documents_are_told_from_files() -> None:
    assert is_database(FlatFile("a", "database.sqlite")) and is_database(EarlyProfileFile("a", "p", "database.sqlite"))
    assert not is_database(FlatFile("a", "old/database.sqlite"))
    assert is_document(FlatFile("a", "profiles.json")) and not is_document(FlatFile("a", "x/profiles.json"))
