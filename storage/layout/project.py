"""The project layout: a user's projects, their scenes with media by type, and what was made of them. Pure.

    users/{user}/projects/{project}/scenes/{scene}/{type}/{file}     SceneFile
    users/{user}/projects/{project}/output/{file}                    OutputFile

What happens when something is missing, each under its own name:
    scene, type or file missing    `get_file_path`    the shorter prefix, ending in `/`
    no user or no project          `upload_key`       the file's name alone
    no scene                       `upload_key`       the project's output folder
    no user                        DEFAULT_USER       where a caller knows a project but nobody it belongs to
    information missing            `storage_key`      the old key, as it is
"""

from __future__ import annotations

from dataclasses import dataclass

from storage.layout.media_type import check_media_type, media_type_of
from storage.layout.part import InvalidKey, check_part, check_path

DEFAULT_USER = "default"
ROOT = "users/"


@dataclass(frozen=True, slots=True)
class SceneFile:
    """A medium of a scene."""

    user: str
    project: str
    scene: str
    type: str
    file: str

    def __post_init__(self) -> None:
        for name in ("user", "project", "scene", "file"):
            check_part(getattr(self, name), name)
        check_media_type(self.type)
        check_path(self.key)

    @property
    def key(self) -> str:
        return f"{scene_prefix(self.user, self.project, self.scene)}{self.type}/{self.file}"


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A video made from a whole project."""

    user: str
    project: str
    file: str

    def __post_init__(self) -> None:
        for name in ("user", "project", "file"):
            check_part(getattr(self, name), name)
        check_path(self.key)

    @property
    def key(self) -> str:
        return f"{project_prefix(self.user, self.project)}output/{self.file}"


ProjectKey = SceneFile | OutputFile


def project_prefix(user: str, project: str) -> str:
    """Everything of one project; ends in `/`, so that `p1` never reaches `p10`."""
    return f"{ROOT}{check_part(user, 'user')}/projects/{check_part(project, 'project')}/"


def scene_prefix(user: str, project: str, scene: str) -> str:
    """Everything of one scene; ends in `/`."""
    return f"{project_prefix(user, project)}scenes/{check_part(scene, 'scene')}/"


def parse_project(key: str) -> ProjectKey:
    """What a key of this layout names. Raises InvalidKey."""
    parts = key.split("/")
    if parts[:1] == ["users"] and parts[2:3] == ["projects"]:
        if len(parts) == 8 and parts[4] == "scenes":
            return SceneFile(parts[1], parts[3], parts[5], parts[6], parts[7])
        if len(parts) == 6 and parts[4] == "output":
            return OutputFile(parts[1], parts[3], parts[5])
    raise InvalidKey(f"key {key[:140]!r}: expected users/USER/projects/PROJECT/ and a scene's or an output file")


def get_file_path(
    user_id: str,
    project_id: str,
    scene_id: str | None = None,
    file_type: str | None = None,
    filename: str | None = None,
) -> str:
    """A scene's file; with scene, type or file missing the shorter prefix, which ends in `/`. Raises InvalidKey."""
    if not scene_id:
        return project_prefix(user_id, project_id)
    prefix = scene_prefix(user_id, project_id, scene_id)
    if not file_type:
        return prefix
    prefix += f"{check_media_type(file_type)}/"
    return prefix + check_part(filename, "file") if filename else prefix


def upload_key(
    file_path: str,
    *,
    user_id: str | None = None,
    project_id: str | None = None,
    scene_id: str | None = None,
    file_type: str | None = None,
) -> str:
    """Where an uploaded file goes. Without user or project it is the file's name alone; a type that is not said is read
    from the file's ending. Raises InvalidKey, UnknownMediaType."""
    name = check_part(file_path.rpartition("/")[2], "file")
    if not user_id or not project_id:
        return name
    if not scene_id:
        return OutputFile(user_id, project_id, name).key
    return SceneFile(user_id, project_id, scene_id, file_type or media_type_of(name), name).key


def storage_key(
    key: str, *, user_id: str | None = None, project_id: str | None = None, scene_id: str | None = None
) -> str:
    """The key of this layout for a key of any: its own are kept, and so is the old one when information is missing."""
    if key.startswith(ROOT) or not user_id or not project_id:
        return check_path(key, "key")
    return upload_key(check_path(key, "key"), user_id=user_id, project_id=project_id, scene_id=scene_id)
