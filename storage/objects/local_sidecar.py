"""The hidden file beside a local object that keeps what a file name cannot: its ETag, metadata and content type. Pure.

`{folder}/.holdfast-meta.{name}` holds up to two entries, the newest first, each tied to one content by its MD5. It is
written before the body it describes, so that after a crash between the two writes the body, old or new, still finds its
own entry. Size, modification time and inode are a short cut to that entry without reading the body; a copied or touched
file, whose times differ, is found by its MD5 instead. A body that no entry knows was dropped in by hand: that is fine,
it has no metadata. One whose size and time are an entry's and whose MD5 is nobody's has rotted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from storage.errors import CorruptObject, UnsupportedVersion
from storage.objects.key import PART_BYTES_MAX, RESERVED_NAME_PREFIX

VERSION = 1
SIDECAR_NAME_PREFIX = f"{RESERVED_NAME_PREFIX}-meta."


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What tells one state of a file from another without reading it."""

    size: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One content that the object has had."""

    etag: str
    stamp: FileStamp
    metadata: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The last contents of one object, newest first."""

    entries: tuple[Entry, ...] = ()
    version: int = VERSION

    def by_stamp(self, stamp: FileStamp) -> Entry | None:
        """The entry of a file that was not read. None when size and time do not settle it."""
        alike = [entry for entry in self.entries if _same_size_and_time(entry.stamp, stamp)]
        if len(alike) > 1:  # two writes of one size within one tick of the file system's clock
            alike = [entry for entry in alike if entry.stamp.inode == stamp.inode]
        return alike[0] if len(alike) == 1 else None

    def by_etag(self, etag: str) -> Entry | None:
        """The entry of a file whose MD5 is `etag`."""
        return next((entry for entry in self.entries if entry.etag == etag), None)

    def promised(self, stamp: FileStamp) -> str | None:
        """The MD5 that a file with this size and time must have, if any entry has them."""
        return next((entry.etag for entry in self.entries if _same_size_and_time(entry.stamp, stamp)), None)

    def with_new(self, new: Entry, keep: Entry | None) -> Sidecar:
        """Put `new` in front of `keep`, the entry of the body now in place: the one a crash would fall back to."""
        kept = (keep,) if keep is not None and keep.etag != new.etag else ()
        return Sidecar((new, *kept))


def sidecar_name(name: str) -> str:
    """File name of the sidecar of the object file `name`; a long one is replaced by its hash."""
    plain = SIDECAR_NAME_PREFIX + name
    if len(plain.encode()) <= PART_BYTES_MAX:
        return plain
    return f"{SIDECAR_NAME_PREFIX}{hashlib.sha256(name.encode()).hexdigest()}"


def encode_sidecar(sidecar: Sidecar) -> bytes:
    return msgspec.json.encode(sidecar)


def decode_sidecar(data: bytes, path: str) -> Sidecar:
    """The sidecar, or `CorruptObject`, or `UnsupportedVersion`; `path` is for the message."""
    try:
        version = _version_decoder.decode(data).version
        if version > VERSION:
            raise UnsupportedVersion(f"sidecar {path}: version {version}, this Holdfast reads up to {VERSION}")
        return _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise CorruptObject(f"sidecar {path}: {error}") from error


def _same_size_and_time(one: FileStamp, other: FileStamp) -> bool:
    return one.size == other.size and one.mtime_ns == other.mtime_ns


class _Version(msgspec.Struct):
    version: int


_version_decoder = msgspec.json.Decoder(_Version)
_decoder = msgspec.json.Decoder(Sidecar)
