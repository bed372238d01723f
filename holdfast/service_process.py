"""`holdfast serve` as a child process: started, awaited until it is ready, drained or killed by its pid.

For the demo and for tests against the real thing. The child's output goes on being read, so that it never blocks, and
the last lines are kept for the error message of a start that failed.
"""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from holdfast.exit_code import ServiceUnreachable

READY = re.compile(r"^holdfast is ready on (http://\S+)$")
LINES_KEPT = 60


class ServiceProcess:
    """One running service. Make it with `start`; end it with `drain` or `kill`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._ready = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls,
        data_dir: Path,
        *,
        environ: Mapping[str, str],
        arguments: Sequence[str] = (),
        timeout_s: float = 60.0,
        cwd: Path | None = None,
    ) -> ServiceProcess:
        """A service that is ready, on a free port. Raises ServiceUnreachable with its last words if it is not."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "holdfast", "serve", "--port", "0", "--data-dir", str(data_dir), *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(environ),
            cwd=cwd,
            start_new_session=True,
        )
        service = cls(process)
        try:
            async with asyncio.timeout(timeout_s):
                await service._ready
        except BaseException as error:
            await service.kill()
            if isinstance(error, TimeoutError):
                raise ServiceUnreachable(f"the service was not ready after {timeout_s:g} s:\n{service.log}") from error
            raise
        return service

    @property
    def url(self) -> str:
        """Where it listens."""
        url: str = self._ready.result()
        return url

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        """The last lines it wrote."""
        return "\n".join(self._lines)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the service's own process, if it still runs."""
        if self._process.returncode is None:
            self._process.send_signal(number)

    async def drain(self) -> int:
        """SIGTERM, and wait until everything is flushed. The exit code."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def kill(self) -> None:
        """SIGKILL to the service's own process alone: its hosts are left as they are."""
        self.signal(signal.SIGKILL)
        await self.ended()

    async def ended(self) -> int:
        """Wait for the end of the process itself. The exit code, negative for a signal."""
        code = await self._process.wait()
        # Hosts that outlive a killed service may hold the pipe open: what they say is of no interest.
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        return code

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for raw in self._process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            self._lines.append(line)
            match = READY.match(line)
            if match and not self._ready.done():
                self._ready.set_result(match[1])
        if not self._ready.done():
            self._ready.set_exception(ServiceUnreachable(f"the service ended before it was ready:\n{self.log}"))
