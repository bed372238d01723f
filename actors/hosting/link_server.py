"""The host's door: listens on a Unix socket and a TCP port (loopback by default), and gives calls to the catalog.

Both take only peers that prove the shared secret. Writes of all connections are flushed together: at the end of the
scheduler's pass that answered them, or on the next loop turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from actors.call import Call
from actors.hosting.handshake import HostHandshake
from actors.hosting.link_connection import LinkConnection
from storage.errors import HoldfastError, InvalidRequest
from storage.layout.address import Address

CONNECTIONS_MAX: Final = 256
UNIX_PATH_BYTES_MAX: Final = 107


class LinkServer:
    """See the module. `nonce()` returns 32 fresh random bytes."""

    def __init__(self, submit: Callable[[Address, Call], None], *, secret: bytes, nonce: Callable[[], bytes]) -> None:
        self.submit = submit
        self._secret, self._nonce = secret, nonce
        self._servers: list[asyncio.Server] = []
        self._connections: set[LinkConnection] = set()
        self._unwritten: list[LinkConnection] = []
        self._unix_path: Path | None = None
        self.tcp_port = 0

    async def start(self, *, unix_path: Path | None = None, tcp_host: str | None = None, tcp_port: int = 0) -> None:
        """Listen. A `tcp_port` of 0 picks a free one, to be read from `tcp_port` afterwards. A socket file left behind
        by a dead process is replaced. Raises InvalidRequest for a path that no socket can have, OSError."""
        loop = asyncio.get_running_loop()
        if unix_path is not None:
            _clear_socket(unix_path)
            self._servers.append(await loop.create_unix_server(self._connection, str(unix_path)))
            os.chmod(unix_path, stat.S_IRUSR | stat.S_IWUSR)
            self._unix_path = unix_path
        if tcp_host is not None:
            server = await loop.create_server(self._connection, tcp_host, tcp_port)
            self._servers.append(server)
            self.tcp_port = server.sockets[0].getsockname()[1]

    def go_away(self, error: HoldfastError) -> None:
        """Tell every gateway that no further requests are taken, and why; listen no longer."""
        for server in self._servers:
            server.close()
        for connection in self._connections:
            connection.go_away(error)

    def flush(self) -> None:
        """Write what all connections gathered. Runs after each pass, and by itself a loop turn after a `send`."""
        if self._unwritten:
            unwritten, self._unwritten = self._unwritten, []
            for connection in unwritten:
                connection.flush()

    @property
    def open_requests(self) -> int:
        return sum(connection.open_requests for connection in self._connections)

    async def close(self) -> None:
        """Stop listening, write what is gathered, end all connections."""
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.close()
        await asyncio.sleep(0)
        for connection in list(self._connections):
            connection.abort()
        for server in self._servers:
            await server.wait_closed()
        if self._unix_path is not None:
            self._unix_path.unlink(missing_ok=True)

    # --- for connections ----------------------------------------------------------------------------------------

    def admit(self, connection: LinkConnection) -> bool:
        if len(self._connections) >= CONNECTIONS_MAX:
            return False
        self._connections.add(connection)
        return True

    def leave(self, connection: LinkConnection) -> None:
        self._connections.discard(connection)

    def write_soon(self, connection: LinkConnection) -> None:
        if not self._unwritten:
            asyncio.get_running_loop().call_soon(self.flush)
        self._unwritten.append(connection)

    def _connection(self) -> LinkConnection:
        return LinkConnection(self, HostHandshake(self._secret, self._nonce()))


def _clear_socket(path: Path) -> None:
    if len(os.fsencode(path)) > UNIX_PATH_BYTES_MAX:
        raise InvalidRequest(f"socket path {path}: at most {UNIX_PATH_BYTES_MAX} bytes are possible")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            path.unlink()
