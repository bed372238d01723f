"""Every row of a replica as the `litestream-vfs` extension reads it, printed as JSON; a process of its own.

The extension brings Go's runtime with it, which has no business inside pytest. Run as
`python -m tests.storage.log.vfs_dump`, with the replica's address in LITESTREAM_REPLICA_URL.
"""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

import apsw


def dump(connection: apsw.Connection) -> dict[str, Any]:
    """Rows of every table, blobs by length and digest, and what SQLite thinks of the file's structure."""

    def plain(value: Any) -> Any:
        return [len(value), hashlib.md5(value).hexdigest()] if isinstance(value, bytes) else value

    names = [
        name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    ]
    rows = {name: [[plain(v) for v in row] for row in connection.execute(f'SELECT * FROM "{name}"')] for name in names}
    return {
        "rows": rows,
        "schema": [list(row) for row in connection.execute("SELECT type, name, sql FROM sqlite_schema")],
    }


def main() -> None:
    import litestream_vfs

    loader = apsw.Connection(":memory:")
    loader.enable_load_extension(True)
    loader.load_extension(litestream_vfs.loadable_path())
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    with apsw.Connection("file:replica.db?vfs=litestream", flags=flags) as connection:
        json.dump(dump(connection), sys.stdout)


if __name__ == "__main__":
    main()
