"""Shadow reads behind r2 mode's router: counted, bounded, never felt by whoever asked."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import msgspec
import pytest

from actors.call import Op
from actors.r2mode.shadow import KEPT_MAX, ShadowReads
from actors.r2mode.shadow_run import Comparison, Engine, Finding, ShadowRun
from actors.settings import DatabaseSettings
from tests.actors.r2mode.file_bucket import Asker, an_asker
from tests.actors.virtual_time import VirtualClock, virtual

INSERT = "INSERT INTO games(name) VALUES(?)"
SELECT = "SELECT name FROM games"
DIFFERENT = Comparison((Finding(Engine.ACTOR, 0, 2, '["secret"]', "null"),), {Engine.ACTOR: 0.5, Engine.CONTROL: 0.25})

Compare = Callable[[ShadowRun, DatabaseSettings, Callable[[], float]], Comparison]


async def shadowed(share: float = 1.0) -> tuple[Asker, ShadowReads]:
    """A router with a file in which there is one game, and nothing sampled yet."""
    asker = an_asker()
    await asker.sql(INSERT, "final")
    asker.router.shadow = shadow = ShadowReads(share=share, seed=1, settings=DatabaseSettings(), clock=VirtualClock())
    return asker, shadow


def counts(shadow: ShadowReads) -> dict[str, float]:
    return {
        labels["result"]: value
        for name, labels, value in shadow.samples()
        if name == "holdfast_shadow_reads_total" and value
    }


def comparing(monkeypatch: pytest.MonkeyPatch, compare: Compare) -> None:
    monkeypatch.setattr(ShadowRun, "compare", compare)


@virtual
async def test_a_sampled_read_runs_again_and_both_engines_are_timed() -> None:
    asker, shadow = await shadowed()
    assert await asker.rows(SELECT) == [["final"]]
    await shadow.settle()
    assert counts(shadow) == {"same": 1}
    assert shadow.kept() == ()
    assert {labels["engine"] for name, labels, _ in shadow.samples() if name == "holdfast_shadow_seconds_total"} == {
        "actor",
        "control",
    }
    await asker.router.close()


@virtual
async def test_no_share_means_no_work_and_no_series() -> None:
    asker, shadow = await shadowed(share=0.0)
    await asker.rows(SELECT)
    await shadow.settle()
    assert shadow.samples() == ()


@virtual
async def test_writes_keyed_requests_and_missing_files_are_not_compared() -> None:
    asker, shadow = await shadowed()
    await asker.sql(INSERT, "b")
    await asker.sql(SELECT, idempotency_key="k")
    fresh = an_asker()
    fresh.router.shadow = shadow
    await fresh.rows(SELECT)
    await shadow.settle()
    assert counts(shadow) == {}
    await asker.sql("SELECT random()")
    assert counts(shadow) == {"skipped": 1}


@virtual
async def test_a_difference_is_kept_with_its_row_and_logged_without_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asker, shadow = await shadowed()
    comparing(monkeypatch, lambda run, settings, now: DIFFERENT)
    with caplog.at_level(logging.WARNING, "actors.r2mode.shadow"):
        assert await asker.rows(SELECT) == [["final"]]
        await shadow.settle()
    assert counts(shadow) == {"different": 1}
    kept = shadow.kept()[0].to_mapping()
    assert (kept["user"], kept["profile"], kept["sql"]) == ("alice", "main", SELECT)
    assert kept["findings"] == [
        {"engine": "actor", "statement": 0, "row": 2, "answered": '["secret"]', "found": "null", "failed": False}
    ]
    (line,) = caplog.records
    assert vars(line).items() >= {"user": "alice", "statement": 0, "row": 2, "actor_s": 0.5, "control_s": 0.25}.items()
    assert "secret" not in str(vars(line)) and SELECT not in str(vars(line))
    assert ("holdfast_shadow_seconds_total", {"engine": "actor"}, 0.5) in shadow.samples()


@virtual
async def test_what_is_kept_is_bounded_and_begins_with_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    asker, shadow = await shadowed()
    comparing(monkeypatch, lambda run, settings, now: DIFFERENT)
    for _ in range(KEPT_MAX + 3):
        await asker.rows(SELECT)
        await shadow.settle()
    assert counts(shadow) == {"different": KEPT_MAX + 3}
    assert len(shadow.kept()) == KEPT_MAX


@virtual
async def test_an_engine_that_fails_is_recorded_and_the_answer_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    asker, shadow = await shadowed()

    def broken(run: ShadowRun, settings: DatabaseSettings, now: Callable[[], float]) -> Comparison:
        raise RuntimeError("broken")

    comparing(monkeypatch, broken)
    assert await asker.rows(SELECT) == [["final"]]
    await shadow.settle()
    assert counts(shadow) == {"failed": 1}


@virtual
async def test_a_slow_comparison_delays_nobody_and_the_next_ones_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    asker, shadow = await shadowed()
    go_on = threading.Event()

    def slow(run: ShadowRun, settings: DatabaseSettings, now: Callable[[], float]) -> Comparison:
        assert go_on.wait(20)
        return Comparison((), {})

    comparing(monkeypatch, slow)
    for _ in range(3):
        assert await asker.rows(SELECT) == [["final"]]
    assert counts(shadow) == {"dropped": 2}
    go_on.set()
    await shadow.settle()
    assert counts(shadow) == {"dropped": 2, "same": 1}


@virtual
async def test_closing_ends_what_runs_and_begins_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    asker, shadow = await shadowed()
    began, ended = threading.Event(), threading.Event()

    def endless(run: ShadowRun, settings: DatabaseSettings, now: Callable[[], float]) -> Comparison:
        began.set()
        while now() != float("inf"):
            pass
        ended.set()
        return Comparison((), {})

    comparing(monkeypatch, endless)
    await asker.rows(SELECT)
    await asker.rows(SELECT)  # lets the first comparison's task begin
    assert began.wait(20)
    await asker.router.close()
    assert ended.wait(20)
    await asker.call(Op.SQL, {}, msgspec.json.encode({"sql": SELECT}))
    assert counts(shadow) == {"dropped": 1}
