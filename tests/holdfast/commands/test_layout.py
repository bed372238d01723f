"""`holdfast layout`, on a local tree and, once, on an S3 server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from storage.objects.settings import MIB
from tests.holdfast.cli import Outcome, holdfast
from tests.migrate.layout.flat_bucket import a_database
from tests.servers import S3Server

FLAT = {
    "ana/database.sqlite": a_database("opener"),
    "ana/raw_clips/x.mp4": b"clip",
    "ben/profiles/b0000001/database.sqlite": a_database("away"),
    "games/0a1b.mp4": b"game",
}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A local tree as an older service left it: files without sidecars."""
    for key, body in FLAT.items():
        path = tmp_path / "data" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return tmp_path / "data"


def layout(data_dir: Path, *arguments: str, **kind: Any) -> Outcome:
    return holdfast("layout", *arguments, "--data-dir", str(data_dir), **kind)


def files(root: Path) -> dict[str, bytes]:
    found = (path for path in root.rglob("*") if path.is_file())
    named = {str(path.relative_to(root)): path.read_bytes() for path in found}
    return {key: body for key, body in named.items() if ".holdfast" not in key and not key.startswith("dev/layout/")}


def test_without_execute_nothing_is_written(data_dir: Path) -> None:
    outcome = layout(data_dir, "migrate", "--from", "flat", "--to", "profiled")
    assert (outcome.code, "nothing was written" in outcome.err) == (0, True)
    assert "users/ana: planned; copied 0 (0 B)" in outcome.out
    assert files(data_dir) == FLAT


def test_local_trees_move_to_the_last_one_and_only_then_go(data_dir: Path) -> None:
    assert layout(data_dir, "migrate", "--execute").code == 0
    assert FLAT.items() <= files(data_dir).items()
    status = layout(data_dir, "status")
    assert [line.split()[:2] for line in status.out.splitlines()[2:5]] == [
        ["users/ana", "switched"], ["users/ben", "switched"], ["games", "switched"],
    ]  # fmt: skip
    assert "3 objects of 2 users and 1 games" in status.out
    outcome = layout(data_dir, "finalize", "--execute")
    assert (outcome.code, "deleted 4" in outcome.out.splitlines()[-1]) == (0, True)
    profile = json.loads((data_dir / "dev/users/ana/profiles.json").read_bytes())["default"]
    found = files(data_dir)
    assert found[f"dev/users/ana/profiles/{profile}/database.sqlite"] == FLAT["ana/database.sqlite"]
    assert found["dev/users/ben/profiles/b0000001/database.sqlite"] == FLAT["ben/profiles/b0000001/database.sqlite"]
    assert sorted(path.name for path in data_dir.iterdir() if path.name != ".holdfast") == ["dev"]


def test_rollback_brings_back_what_came_since(data_dir: Path) -> None:
    layout(data_dir, "migrate", "--execute", "--user", "ana")
    (folder,) = (data_dir / "dev/users/ana/profiles").iterdir()
    (folder / "raw_clips/new.mp4").write_bytes(b"new")
    outcome = layout(data_dir, "rollback", "--execute", "--user", "ana")
    assert (outcome.code, files(data_dir)["ana/raw_clips/new.mp4"]) == (0, b"new")


def test_counts_as_json_agree(data_dir: Path) -> None:
    outcome = layout(data_dir, "migrate", "--execute", "--json")
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert [line["unit"] for line in lines] == ["users/ana", "users/ben", "games", "total"]
    assert lines[-1]["copied"] == lines[-1]["before"] == lines[-1]["after"] == {
        "objects": len(FLAT), "bytes": sum(map(len, FLAT.values())),
    }  # fmt: skip
    assert all(line["agrees"] and line["failed"] == 0 for line in lines)


def test_a_conflict_is_told_on_stderr_and_by_the_exit_code(data_dir: Path) -> None:
    (data_dir / "dev/games").mkdir(parents=True)
    (data_dir / "dev/games/0a1b.mp4").write_bytes(b"another")
    outcome = layout(data_dir, "migrate", "--execute")
    assert (outcome.code, "games: dev/games/0a1b.mp4 differs from games/0a1b.mp4" in outcome.err) == (1, True)
    assert "users/ben: done" in outcome.out


@pytest.mark.system
def test_a_mirror_takes_its_profiles_from_the_bucket(data_dir: Path, seaweedfs: S3Server) -> None:
    environ = {**seaweedfs.environment(), "HOLDFAST_S3_REGION": seaweedfs.region}
    flags = ("--bucket", seaweedfs.new_bucket(), "--endpoint", seaweedfs.endpoint)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        refused = layout(data_dir, "migrate", "--local", "--execute", "--user", "ana", *flags, environ=environ)
        assert (refused.code, "move the bucket first" in refused.err) == (1, True)


def test_records_of_a_file_move_into_projects(data_dir: Path, tmp_path: Path) -> None:
    records = tmp_path / "scenes.jsonl"
    records.write_text('{"project_id": "p", "scene_id": "s", "storage_key": "ana/raw_clips/x.mp4"}\n')
    command = ("--to", "projects", "--records", str(records), "--execute")
    assert layout(data_dir, "migrate", *command).code == 0
    new = "users/default/projects/p/scenes/s/video/x.mp4"
    assert json.loads(records.read_text())["storage_key"] == new
    assert layout(data_dir, "finalize", *command).code == 0
    assert "ana/raw_clips/x.mp4" not in files(data_dir)
    assert files(data_dir)[new] == b"clip"


def test_rows_of_a_table_move_through_the_service(data_dir: Path) -> None:
    rows = [[1, "p", "s", "ana/raw_clips/x.mp4"]]

    def service(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        assert request.url.path == "/v1/users/ana/sql"
        if "statements" in body:
            for statement in body["statements"]:
                new, row_id, old = statement["params"]
                for row in rows:
                    row[3] = new if (row[0], row[3]) == (row_id, old) else row[3]
            return httpx.Response(200, json={"results": []})
        if "pragma_table_info" in body["sql"]:
            names = ["id", "project_id", "scene_id", "storage_key"]
            return httpx.Response(200, json={"results": [{"rows": [[name] for name in names]}]})
        return httpx.Response(200, json={"results": [{"rows": rows}]})

    outcome = layout(
        data_dir, "migrate", "--to", "projects", "--table", "media", "--user", "ana", "--execute", service=service
    )
    assert (outcome.code, outcome.err) == (0, "")
    assert rows == [[1, "p", "s", "users/ana/projects/p/scenes/s/video/x.mp4"]]


@pytest.mark.parametrize(
    "arguments",
    [("--to", "projects"), ("--to", "projects", "--table", "t"), ("--to", "projects", "--table", "t;", "--user", "a"),
     ("--user", "../x")],
)  # fmt: skip
def test_wrong_usage_is_code_2(data_dir: Path, arguments: tuple[str, ...]) -> None:
    assert layout(data_dir, "migrate", *arguments).code == 2


@pytest.mark.system
def test_a_bucket_moves_there_and_back_and_to_its_end(tmp_path: Path, seaweedfs: S3Server) -> None:
    """Server-side copies on an S3 server, a multipart upload among them."""
    bucket, client = seaweedfs.new_bucket(), seaweedfs.client()
    big = bytes(range(256)) * (5 * MIB // 256)
    for key, body in FLAT.items():
        client.put_object(Bucket=bucket, Key=key, Body=body)
    upload = client.create_multipart_upload(Bucket=bucket, Key="ana/games/big.mp4")["UploadId"]
    where = {"Bucket": bucket, "Key": "ana/games/big.mp4", "UploadId": upload}
    etags = [client.upload_part(**where, PartNumber=n, Body=part)["ETag"] for n, part in ((1, big), (2, b"end"))]
    client.complete_multipart_upload(
        **where, MultipartUpload={"Parts": [{"PartNumber": n + 1, "ETag": etag} for n, etag in enumerate(etags)]}
    )
    environ = {"HOLDFAST_S3_REGION": seaweedfs.region}
    flags = ("--bucket", bucket, "--endpoint", seaweedfs.endpoint)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in seaweedfs.environment().items():
            patch.setenv(name, value)

        def step(*arguments: str) -> Outcome:
            return layout(tmp_path, *arguments, *flags, environ=environ)

        first = step("migrate", "--execute")
        assert (first.code, first.err) == (0, "")
        assert first.out.splitlines()[-1].endswith("agree")
        assert "nothing to do" in step("migrate", "--execute").out
        assert step("rollback", "--execute", "--user", "ana").code == 0
        assert step("migrate", "--execute").code == 0
        last = step("finalize", "--execute")
        assert (last.code, last.err) == (0, "")
    keys = [item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]]
    assert {key.partition("/")[0] for key in keys} == {"dev"}
    (copy,) = (key for key in keys if key.endswith("big.mp4"))
    assert client.get_object(Bucket=bucket, Key=copy)["Body"].read() == big + b"end"
    client.close()
