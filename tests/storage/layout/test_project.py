"""The project layout's fall-backs, one by one, and prefixes that end where a folder does."""

from __future__ import annotations

import pytest
from hypothesis import given

from storage.layout.directory import directory_prefix
from storage.layout.media_type import ENDINGS, MEDIA_TYPES, UnknownMediaType, check_media_type, media_type_of
from storage.layout.part import InvalidKey
from storage.layout.project import get_file_path, project_prefix, scene_prefix, storage_key, upload_key
from tests.storage.layout.layout_keys import names, paths


def test_a_full_path_names_a_scenes_file() -> None:
    assert get_file_path("u", "p", "s", "audio", "a.mp3") == "users/u/projects/p/scenes/s/audio/a.mp3"


def test_scene_type_or_file_missing_gives_the_shorter_prefix() -> None:
    assert get_file_path("u", "p", "s", "audio") == "users/u/projects/p/scenes/s/audio/"
    assert get_file_path("u", "p", "s") == "users/u/projects/p/scenes/s/"
    assert get_file_path("u", "p", "s", None, "a.mp3") == "users/u/projects/p/scenes/s/"
    assert get_file_path("u", "p") == "users/u/projects/p/"
    assert get_file_path("u", "p", None, "audio", "a.mp3") == "users/u/projects/p/"


@pytest.mark.parametrize(("user", "project"), [(None, "p"), ("u", None), ("", "p"), (None, None)])
def test_no_user_or_project_gives_the_files_name(user: str | None, project: str | None) -> None:
    assert upload_key("/tmp/a/x.mp4", user_id=user, project_id=project, scene_id="s") == "x.mp4"


def test_no_scene_gives_the_projects_output() -> None:
    assert upload_key("x.mp4", user_id="u", project_id="p") == "users/u/projects/p/output/x.mp4"


def test_no_type_is_read_from_the_files_ending() -> None:
    assert upload_key("x.JPG", user_id="u", project_id="p", scene_id="s").endswith("/scenes/s/image/x.JPG")
    with pytest.raises(UnknownMediaType):
        upload_key("x.exe", user_id="u", project_id="p", scene_id="s")


def test_information_missing_keeps_the_old_format_and_new_keys_stay() -> None:
    assert storage_key("uploads/x.jpg", user_id="u") == "uploads/x.jpg"
    assert storage_key("uploads/x.jpg", user_id="u", project_id="p") == "users/u/projects/p/output/x.jpg"
    assert storage_key("uploads/x.jpg", user_id="u", project_id="p", scene_id="s").endswith("/scenes/s/image/x.jpg")
    new = "users/u/projects/p/output/x.mp4"
    assert storage_key(new, user_id="other", project_id="p2") == new
    with pytest.raises(InvalidKey):
        storage_key("users/../x")


def test_media_types_are_a_table_and_others_are_refused() -> None:
    for kind, endings in ENDINGS.items():
        assert {media_type_of(f"a.{ending}") for ending in endings} == {kind}
    assert [check_media_type(kind) for kind in MEDIA_TYPES] == ["audio", "image", "video"]
    for name in ("mp3", "a", "a.", "a.txt", ""):
        with pytest.raises(UnknownMediaType):
            media_type_of(name)
    with pytest.raises(UnknownMediaType):
        check_media_type("images")


@given(names, names, names)
def test_a_prefix_for_deletion_never_reaches_a_neighbour(user: str, project: str, scene: str) -> None:
    for prefix in (project_prefix(user, project), scene_prefix(user, project, scene)):
        assert prefix.endswith("/") and not prefix.endswith("//")
    assert not project_prefix(user, project + "0").startswith(project_prefix(user, project))
    assert not scene_prefix(user, project, scene + "0").startswith(scene_prefix(user, project, scene))


@given(paths)
def test_a_directory_ends_in_one_slash_however_it_is_written(path: str) -> None:
    assert directory_prefix(path) == directory_prefix(path + "/") == path + "/"
