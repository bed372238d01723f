"""What an operating system's error means for the caller of the local store. Pure."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from storage.errors import InvalidRequest, OutcomeUnknown, StorageError, StoreRefused, Unavailable

_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EXDEV})
_INVALID = frozenset({errno.ENAMETOOLONG, errno.ELOOP, errno.EISDIR, errno.ENOTDIR})


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise this project's errors instead of OSError. `doing` is for the message: `put users/1/a`."""
    try:
        yield
    except OSError as error:
        raise from_os_error(error, doing) from error


def from_os_error(error: OSError, doing: str) -> StorageError | InvalidRequest:
    """A full or failing disk may recover (Unavailable); a read-only one needs an operator; a bad name another key."""
    message = f"{doing}: {error.strerror or error}"
    if error.errno in _REFUSED:
        return StoreRefused(message)
    if error.errno in _INVALID:
        return InvalidRequest(message)
    return Unavailable(message)


def unknown_after_rename(error: OSError, doing: str) -> OutcomeUnknown:
    """The object has its name and is visible, but may not outlive a power cut."""
    return OutcomeUnknown(f"{doing}: written, but not known to be durable: {error.strerror or error}")
