"""Whether what the bucket's log gives is what the sealed file holds (rule 17): rows, integrity, and the file's state
with its ring of put-ids, which the import carries along."""

from __future__ import annotations

from actors.database.image import PageImage
from migrate.comparison import Digest, compare
from migrate.errors import NotVerified
from storage.errors import CorruptObject
from storage.r2_sqlite.file_state import read_state


def verify_import(body: bytes, image: PageImage | None) -> Digest:
    """Compare the sealed file with the image that was rebuilt from the bucket alone; the file's digest.

    Blocking. Raises NotVerified with the first difference.
    """
    if image is None:
        raise NotVerified("the log gives nothing", details={"reason": "not_verified"})
    copy = image.to_bytes()
    digest = verify_rows(body, copy)
    if read_state(copy) != read_state(body):
        raise NotVerified("the file's state and its ring of put-ids differ", details={"reason": "not_verified"})
    return digest


def verify_rows(body: bytes, copy: bytes) -> Digest:
    """The same for the rows alone. Blocking. Raises NotVerified."""
    try:
        comparison = compare(body, copy)
    except CorruptObject as error:
        raise NotVerified(error.message, details={"reason": "not_verified"}) from error
    if comparison.difference is not None:
        raise NotVerified(comparison.difference, details={"reason": "not_verified"})
    return comparison.original
