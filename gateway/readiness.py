"""Whether this gateway can serve: the store answers and hosts are up; remembered briefly, asked by one at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.parts import GatewayParts
from storage.errors import HoldfastError, ObjectNotFound


@dataclass(frozen=True, slots=True)
class ReadyReport:
    """`checks` names each precondition with "ok" or what is wrong."""

    ready: bool
    checks: dict[str, object]


class Readiness:
    """Asks at most once per `ready_ttl_s`, each part for at most `ready_timeout_s`."""

    def __init__(self, parts: GatewayParts) -> None:
        self._parts = parts
        self._report: ReadyReport | None = None
        self._asked_at = 0.0
        self._lock = asyncio.Lock()
        self.draining = False

    async def check(self) -> ReadyReport:
        """The report. A gateway that is being stopped is not ready."""
        if self.draining:
            return ReadyReport(False, {"gateway": "draining"})
        async with self._lock:
            now = self._parts.clock.now()
            if self._report is None or now - self._asked_at >= self._parts.settings.ready_ttl_s:
                self._report, self._asked_at = await self._ask(), now
            return self._report

    async def _ask(self) -> ReadyReport:
        store, hosts = await asyncio.gather(self._store(), self._hosts())
        return ReadyReport(store == "ok" and hosts.get("ready") is True, {"store": store, "hosts": hosts})

    async def _store(self) -> str:
        try:
            async with asyncio.timeout(self._parts.settings.ready_timeout_s):
                await self._parts.store.head(f"{self._parts.env}/ready-probe")
        except ObjectNotFound:
            pass
        except HoldfastError as error:
            return f"{error.code}: {error.message}"
        except TimeoutError:
            return f"no answer within {self._parts.settings.ready_timeout_s:g} s"
        return "ok"

    async def _hosts(self) -> dict[str, object]:
        try:
            async with asyncio.timeout(self._parts.settings.ready_timeout_s):
                report = await self._parts.hosts_ready()
        except HoldfastError as error:
            return {"ready": False, "error": f"{error.code}: {error.message}"}
        except TimeoutError:
            return {"ready": False, "error": f"no answer within {self._parts.settings.ready_timeout_s:g} s"}
        return {"ready": report.ready, **report.details}
