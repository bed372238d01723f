"""What a deletion by directory never takes: what actors and the service live on. Pure.

A database goes through the service (`DELETE /v1/users/…`), which closes its log first; a log must never be wiped under
a journal. Only clearing the whole bucket, which asks for its name, takes these too.
"""

from __future__ import annotations

from storage.errors import InvalidRequest
from storage.layout.flat import EarlyProfileFile, FlatFile
from storage.layout.profiled import EnvironmentFile, ProfileFile, UserFile
from storage.layout.recognize import parse_key
from storage.layout.relocation import DATABASE

_ENVIRONMENT_FOLDERS = ("erasures", "flags", "layout", "migrations")


def is_kept(key: str) -> bool:
    """Whether only clearing the bucket may delete the key: databases, logs, documents, the service's own records."""
    try:
        parsed = parse_key(key)
    except InvalidRequest:
        return False
    if isinstance(parsed, UserFile):
        return True
    if isinstance(parsed, EnvironmentFile):
        return parsed.path.partition("/")[0] in _ENVIRONMENT_FOLDERS
    if isinstance(parsed, ProfileFile):
        return parsed.path == DATABASE or parsed.path.startswith("log/")
    return isinstance(parsed, FlatFile | EarlyProfileFile) and parsed.path == DATABASE
