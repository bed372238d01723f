"""`holdfast migrate`, on a local store without a service: what each action does, says and exits with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.holdfast.cli import Handler, Outcome, holdfast
from tests.migrate.kit import a_file

USERS = ("ana", "ben")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data directory with two users in r2 mode."""
    for user in USERS:
        put(tmp_path / "data", user, a_file("INSERT INTO t VALUES (1)"))
    return tmp_path


def put(data: Path, user: str, body: bytes) -> None:
    path = data / "dev" / "users" / user / "profiles" / "main" / "database.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)


def migrate(folder: Path, *arguments: str, service: Handler | None = None) -> Outcome:
    return holdfast("migrate", *arguments, "--data-dir", str(folder / "data"), service=service)


def moved(folder: Path, *arguments: str) -> Outcome:
    return migrate(folder, *arguments, "--execute", "--report", str(folder / "report.json"))


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


def state(folder: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads(migrate(folder, "status", "--json").out.splitlines()[-1])["states"]
    return found


def test_without_execute_nothing_is_written(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "database" in path.name}
    for action in ("plan", "run"):
        planned = migrate(folder, action, "--all")
        assert planned.code == 6 and "2 profiles to move, 0 with problems" in planned.out
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "database" in path.name}
    assert before == after and state(folder) == {}


def test_a_rollout_that_names_nobody_moves_nobody(folder: Path) -> None:
    assert migrate(folder, "plan").code == 0
    assert holdfast("rollout", "allow", "ben", "--data-dir", str(folder / "data")).code == 0
    assert moved(folder, "run").code == 0 and report(folder)["users"] == 1
    assert state(folder) == {"actor": 1}


def test_run_verify_and_rollback(folder: Path) -> None:
    done = moved(folder, "run", "--all")
    assert done.code == 0, done.err
    assert "actor: 2/2 100.0%; moved 2; pause p50" in done.out and "ETA" in done.err
    document = report(folder)
    assert document["counts"] == {"moved": 2} and document["ending"] == "done" and document["pause_s"]["p99"] >= 0
    verified = migrate(folder, "verify")
    assert verified.code == 0 and "2 profiles checked, 0 with problems" in verified.out
    assert migrate(folder, "rollback").code == 6
    back = moved(folder, "rollback", "--run", document["run"])
    assert back.code == 0 and report(folder)["counts"] == {"moved": 2} and state(folder) == {"rolled_back": 2}
    assert moved(folder, "run", "--user", "ana").code == 0 and state(folder) == {"rolled_back": 1, "actor": 1}


def test_json_prints_a_line_per_user_and_the_sum_last(folder: Path) -> None:
    lines = [json.loads(line) for line in moved(folder, "run", "--all", "--json").out.splitlines()]
    assert sorted(line["user"] for line in lines[:-1]) == list(USERS) and lines[-1]["counts"] == {"moved": 2}


def test_an_odd_file_is_exit_code_1_and_the_others_move(folder: Path) -> None:
    put(folder / "data", "odd", a_file(wal=True))
    done = moved(folder, "run", "--all")
    assert done.code == 1 and "quarantined odd: main: wal:" in done.out
    assert report(folder)["causes"] == {"wal": ["odd"]} and state(folder) == {"actor": 2, "quarantined": 1}
    assert migrate(folder, "verify").code == 1


def test_pause_is_exit_code_7_and_resume_goes_on(folder: Path) -> None:
    assert migrate(folder, "pause").code == 0
    assert moved(folder, "run", "--all").code == 7 and state(folder) == {}
    assert migrate(folder, "resume").code == 0 and moved(folder, "run", "--all").code == 0


def test_the_kill_switch_refuses(folder: Path) -> None:
    holdfast("rollout", "kill", "--data-dir", str(folder / "data"))
    killed = moved(folder, "run", "--all")
    assert killed.code == 1 and "kill switch" in killed.err


def test_finalize_refuses_before_its_time(folder: Path) -> None:
    moved(folder, "run", "--all")
    early = migrate(folder, "finalize", "--execute")
    assert early.code == 1 and "too_early 2" in early.out and "kept for 30" in early.out


def test_a_users_file_and_a_limit_choose(folder: Path) -> None:
    (folder / "users").write_text("ana\nben\n")
    assert moved(folder, "run", "--users-file", str(folder / "users"), "--limit", "1").code == 0
    assert report(folder)["users"] == 1


@pytest.mark.parametrize(
    "arguments", [["run", "--user", "../x"], ["run", "--all", "--concurrency", "0"], ["run", "--percent", "200"]]
)
def test_wrong_words_are_exit_code_2(folder: Path, arguments: list[str]) -> None:
    assert moved(folder, *arguments).code == 2


def test_candidates_come_from_the_bucket_or_from_the_service(folder: Path) -> None:
    put(folder / "data", "big", a_file("CREATE TABLE b (x)", "INSERT INTO b VALUES (zeroblob(700000))"))
    assert "size 0.7 MiB" in migrate(folder, "candidates").out

    def service(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/admin/migrations"
        candidate = {"user": "ana", "size": 10, "reasons": ["lost races 3"]}
        return httpx.Response(200, json={"candidates": [candidate]})

    assert "lost races 3" in migrate(folder, "candidates", "--service", service=service).out


def test_a_running_service_is_asked_to_release(folder: Path) -> None:
    """Where the log's owner has not released, the door is the service; here it answers and does nothing."""
    moved(folder, "run", "--user", "ana")
    asked: list[str] = []

    def service(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json={"released": True})

    back = migrate(
        folder, "rollback", "--user", "ana", "--execute", "--report", str(folder / "r.json"), service=service
    )
    assert back.code == 0 and asked == []  # nobody has opened it: nothing to ask
