"""Rounds over contenders: turns, what is left out, and that everything started is stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.effort import Effort
from bench.load.plan import Endpoint
from bench.peers.child import PeerFailed
from bench.peers.python_server import PythonServer
from bench.scenario import ONE
from bench.session import Session

QUICK = Effort(rounds=2, duration_s=0.2, warmup_s=0.0)


class Broken:
    """A contender that cannot be started."""

    def __init__(self, *, missing: str | None = None) -> None:
        self.name = "broken"
        self._missing = missing
        self.stopped = 0

    def missing(self) -> str | None:
        return self._missing

    async def start(self) -> Endpoint:
        raise PeerFailed("no port for it")

    async def stop(self) -> None:
        self.stopped += 1

    def process_ids(self) -> list[int]:
        return []


@pytest.mark.system
async def test_two_contenders_take_turns_and_are_stopped(tmp_path: Path) -> None:
    servers = [PythonServer(name, "bench.peers.sqlite_files", tmp_path / name) for name in ("first", "second")]
    said: list[str] = []
    session = Session(servers, ONE[:1], QUICK, tmp_path, said.append)
    await session.run()
    assert [(m.round, m.contender) for m in session.measurements] == [
        (0, "first"), (0, "second"), (1, "second"), (1, "first"),
    ]  # fmt: skip
    assert all(m.outcome.requests > 0 and not m.outcome.failures and m.sync_ms > 0 for m in session.measurements)
    assert [server.process_ids() for server in servers] == [[], []]


@pytest.mark.parametrize(("missing", "why"), [("npm is needed", "npm is needed"), (None, "no port for it")])
async def test_who_cannot_take_part_is_left_out_with_the_reason(tmp_path: Path, missing: str | None, why: str) -> None:
    said: list[str] = []
    session = Session([Broken(missing=missing)], ONE[:1], QUICK, tmp_path, said.append)
    await session.run()
    assert session.left_out == {"broken": why}
    assert session.measurements == [] and said == [f"broken: left out, {why}"]


@pytest.mark.system
async def test_who_refuses_the_first_rows_is_left_out_and_stopped(tmp_path: Path) -> None:
    """The same rows twice: the second time the users are there already."""
    server = PythonServer("twice", "bench.peers.sqlite_files", tmp_path / "twice")
    for _ in range(2):
        session = Session([server], ONE[:1], Effort(rounds=0, duration_s=0.1, warmup_s=0), tmp_path, lambda line: None)
        await session.run()
    assert session.left_out["twice"].startswith("HTTP 500")
    assert server.process_ids() == []
