"""What a request does to a file's bytes: SQL and import, with the same guard, limits, JSON and errors as in an actor.

Each function fits storage.r2_sqlite.files: from the bytes to an answer and, if anything changed, new bytes. Blocking:
for a worker thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from actors.database.image import PageImage
from actors.database.importing import import_database
from actors.errors import DatabaseBroken, NotEmpty
from actors.model.sql_turn import Answer, Scene, SqlTurn
from actors.model.transfer import holds_no_rows
from actors.r2mode.file_image import file_image, opened_file
from actors.settings import DatabaseSettings
from storage.errors import CorruptObject


def run_sql(body: bytes, turn: SqlTurn, scene: Scene, settings: DatabaseSettings) -> tuple[Answer, bytes | None]:
    """Run a batch as one transaction. Raises DatabaseErrors, CorruptObject."""
    with _damage_named(), opened_file(body, settings, wall=scene.now) as database:
        answer = turn.run(database, scene, budget_s=None)
        changed = database.take_commit() is not None
        return answer, database.file.image.to_bytes() if changed else None


def read_image(body: bytes, settings: DatabaseSettings) -> tuple[PageImage, bytes | None]:
    """The image, for what reads it afterwards (streams, exports)."""
    return file_image(body, settings), None


def import_file(
    body: bytes, data: bytes, settings: DatabaseSettings, *, replace: bool, wall: float
) -> tuple[int, bytes | None]:
    """Put `data` in the place of the file's content; its size. System tables stay. Raises NotEmpty, InvalidDatabase."""
    with _damage_named(), opened_file(body, settings, wall=wall) as database:
        if not replace and not database.system(holds_no_rows):
            raise NotEmpty("the database is not empty; say replace=true to put the file in its place")
        current = database.copy_image()
    image = import_database(data, settings, current=current).image
    return image.byte_size, image.to_bytes()


@contextmanager
def _damage_named() -> Iterator[None]:
    """In an actor a broken database recovers from its log; here the file itself is what broke."""
    try:
        yield
    except DatabaseBroken as error:
        raise CorruptObject(f"database.sqlite: {error.message}") from error
