"""Whole databases and long results on their way in and out. What goes out is read from a copy of the image, so that the
actor goes on meanwhile; what comes in is collected within the database's size limit before anything else happens.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from actors.call import Call, Reply
from actors.database.database import Database
from actors.database.export import export_chunks
from actors.database.image import PageImage
from actors.database.importing import import_database
from actors.database.stream import open_stream
from actors.database.system import SystemSql
from actors.durability.parts import Parts
from actors.errors import InvalidDatabase, NotEmpty
from actors.model.sql_turn import SqlTurn
from storage.errors import InvalidRequest
from storage.log.bookmark import Bookmark

SQLITE_TYPE = "application/vnd.sqlite3"
LINES_TYPE = "application/x-ndjson"


async def rows_reply(image: PageImage, turn: SqlTurn, parts: Parts, bookmark: Bookmark) -> Reply:
    """The rows of one reading statement as JSON lines. Raises what opening the statement raises."""
    chunks = await open_stream(image, parts.settings.database, turn.batch, shape=turn.shape)
    return Reply(stream=chunks, content_type=LINES_TYPE, headers={"Holdfast-Bookmark": str(bookmark)})


async def export_reply(image: PageImage, bookmark: Bookmark) -> Reply:
    """The database without system tables, as a file."""
    return Reply(stream=export_chunks(image), content_type=SQLITE_TYPE, headers={"Holdfast-Bookmark": str(bookmark)})


class CountedStream:
    """A stream that says once when it is over, however it ends: run dry, failed, or closed before its first chunk."""

    def __init__(self, stream: AsyncIterator[bytes], over: Callable[[], None]) -> None:
        self._stream = stream
        self._over: Callable[[], None] | None = over

    def __aiter__(self) -> CountedStream:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._stream)
        except BaseException:
            self._end()
            raise

    async def aclose(self) -> None:
        """Stop reading and free what the stream holds."""
        self._end()
        close = getattr(self._stream, "aclose", None)
        if close is not None:
            await close()

    def _end(self) -> None:
        over, self._over = self._over, None
        if over is not None:
            over()


async def read_upload(call: Call, bytes_max: int) -> bytes:
    """A call's whole body, from its stream. Raises InvalidDatabase past `bytes_max`."""
    if call.stream is None:
        return call.body
    data = bytearray(call.body)
    async for chunk in call.stream:
        data += chunk
        if len(data) > bytes_max:
            raise InvalidDatabase(f"the file is larger than {bytes_max} bytes")
    return bytes(data)


async def uploaded_image(call: Call, database: Database, parts: Parts) -> PageImage:
    """The image that takes the place of the database's, its system tables carried over. Raises InvalidDatabase,
    InvalidRequest."""
    replace = call.args.get("replace", False)
    if not isinstance(replace, bool):
        raise InvalidRequest(f"replace {replace!r}: expected true or false")
    if not replace and not database.system(holds_no_rows):
        raise NotEmpty("the database is not empty; say replace=true to put the file in its place")
    data = await read_upload(call, parts.settings.database.database_bytes_max)
    imported = await parts.offload(import_database, data, parts.settings.database, current=database.copy_image())
    return imported.image


def holds_no_rows(system: SystemSql) -> bool:
    """Whether no table of the user's holds a row."""
    tables = system.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' "
        "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    )
    names = (str(row[0]).replace('"', '""') for row in tables)
    return not any(system.execute(f'SELECT 1 FROM main."{name}" LIMIT 1') for name in names)
