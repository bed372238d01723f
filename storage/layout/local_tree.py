"""Keys and local paths of the current request under the names older code knows.

The local tree mirrors the bucket: a key is the path below the data folder. What is not passed in comes from
storage.layout.context.
"""

from __future__ import annotations

from pathlib import Path

from storage.layout.context import get_app_env, get_current_profile_id, get_current_user_id, get_user_data_base
from storage.layout.profiled import EnvironmentFile, ProfileFile

DATABASE_NAME = "database.sqlite"
PROFILE_FOLDERS = (
    "games",
    "raw_clips",
    "working_videos",
    "final_videos",
    "highlights",
    "clip_cache",
    "downloads",
    "uploads",
)


def r2_key(user_id: str, path: str) -> str:
    """Key of a file of the current profile. Raises InvalidKey, InvalidId, NoCurrentUser."""
    return ProfileFile(get_app_env(), user_id, get_current_profile_id(), path).key


def r2_global_key(path: str) -> str:
    """Key of a game of all users. Raises InvalidKey."""
    return EnvironmentFile(get_app_env(), f"games/{path}").key


def get_user_data_path() -> Path:
    """Folder of the current user's current profile. Raises NoCurrentUser."""
    return get_database_path().parent


def get_database_path() -> Path:
    """File of the current profile's database. Raises NoCurrentUser."""
    return get_user_data_base() / r2_key(get_current_user_id(), DATABASE_NAME)


def ensure_directories() -> Path:
    """Make the current profile's folders, if absent; the profile's folder. Raises NoCurrentUser, OSError."""
    folder = get_user_data_path()
    for name in PROFILE_FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    return folder
