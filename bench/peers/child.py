"""A peer's server as a child process: started on a port, awaited until it listens, ended by its own pid.

It gets a session of its own; what it starts in turn ends with it. Its output goes to a file, whose end is shown when
the start fails.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0
PAUSE_S = 0.02


class PeerFailed(Exception):
    """A peer could not be started."""


class ChildProcess:
    """One running server. Make it with `start`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        port: int,
        log: Path,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
    ) -> ChildProcess:
        """Run `command` until something listens on `port` of the loopback. Raises PeerFailed with its last words."""
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=None if environ is None else dict(environ),
                cwd=cwd,
                user=user,
                start_new_session=True,
            )
        child = cls(process, log)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while not await listens(port):
                    if process.returncode is not None:
                        raise PeerFailed(f"{command[0]} ended with {process.returncode}: {child.last_words()}")
                    await asyncio.sleep(PAUSE_S)
        except BaseException as error:
            await child.stop(signal.SIGKILL)
            if isinstance(error, TimeoutError):
                raise PeerFailed(f"{command[0]} does not listen on port {port}: {child.last_words()}") from error
            raise
        return child

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    async def stop(self, number: signal.Signals = signal.SIGTERM, *, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Signal the process; after `timeout_s` kill what is left of its session."""
        if self._process.returncode is None:
            self._process.send_signal(number)
            try:
                async with asyncio.timeout(timeout_s):
                    await self._process.wait()
            except TimeoutError:
                pass
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        await self._process.wait()

    def last_words(self) -> str:
        return self._log.read_text("utf-8", "replace")[-600:].strip() if self._log.exists() else ""


async def listens(port: int) -> bool:
    """Whether something accepts connections on this loopback port."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def free_port() -> int:
    """A loopback port that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
