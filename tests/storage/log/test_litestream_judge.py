"""The independent judge: real Litestream restores our logs and reads them through its own VFS.

`litestream restore -integrity-check full` must give the very bytes of the database that the log was made from, from a
bucket (SeaweedFS, our own keys) and from the file layout of an export; `litestream-vfs` must read the same rows.
And the other way round: a replica that Litestream wrote decodes and rebuilds here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from storage.clock import SystemClock
from storage.layout.address import Address
from storage.layout.keys import log_prefix
from storage.log.export import export_log
from storage.log.litestream import TIMESTAMP_KEY, litestream_timestamp
from storage.log.rebuild import merge, rebuild
from storage.log.segment import decode_segment
from storage.objects.memory import MemoryStore
from tests.servers import S3Server
from tests.storage.log.source_database import SourceDatabase
from tests.storage.log.source_logs import CREATE, SOURCE_LOGS, claims, insert, long_tail, shrinks, snapshots
from tests.storage.log.vfs_dump import dump

pytestmark = pytest.mark.system

COMMAND_TIMEOUT_S = 60
REPOSITORY = Path(__file__).parents[3]
PREFIX = log_prefix("dev", Address.parse("42", "default"))


class JudgeRefused(Exception):
    """Litestream ended with an error."""


@pytest.fixture(params=SOURCE_LOGS)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SourceDatabase]:
    with SOURCE_LOGS[request.param](tmp_path / "source.db") as source:
        yield source


def test_litestream_restores_the_same_bytes_from_files(log: SourceDatabase, tmp_path: Path) -> None:
    assert restore(log.write_file_layout(tmp_path / "replica"), tmp_path) == log.image()


def test_litestream_restores_the_same_bytes_from_a_bucket_and_its_vfs_reads_the_same_rows(
    log: SourceDatabase, tmp_path: Path, seaweedfs: S3Server
) -> None:
    url = upload(log, seaweedfs)
    assert restore(url, tmp_path, env=seaweedfs.environment()) == log.image()
    assert vfs_rows(url, tmp_path, env=seaweedfs.environment()) == dump(log.connection)


def test_litestreams_vfs_reads_the_same_rows_from_files(log: SourceDatabase, tmp_path: Path) -> None:
    assert vfs_rows(log.write_file_layout(tmp_path / "replica"), tmp_path) == dump(log.connection)


def test_our_own_rebuild_agrees_with_the_judge(log: SourceDatabase) -> None:
    newest = log.snapshots[-1] if log.snapshots else None
    tail = log.segments[newest.last if newest else 0 :]
    assert rebuild(newest, tail).to_bytes() == log.image()
    assert rebuild(None, log.segments).to_bytes() == log.image()
    assert rebuild(None, [merge(log.segments)]).to_bytes() == log.image()


def test_litestream_restores_the_end_of_any_slot_by_its_txid(tmp_path: Path) -> None:
    with shrinks(tmp_path / "source.db") as log:
        url = log.write_file_layout(tmp_path / "replica")
        for slot in range(1, log.last_slot + 1):
            expected = rebuild(None, log.segments[:slot]).to_bytes()
            assert restore(url, tmp_path, "-txid", f"{slot:016x}") == expected


def test_litestream_restores_a_time_by_the_timestamp_in_our_metadata(tmp_path: Path, seaweedfs: S3Server) -> None:
    """Only the metadata sets the slots apart here: by their last change all of them are within the time asked for."""
    end, past_ms, future_ms = 3, 1_600_000_000_000, 4_000_000_000_000
    with claims(tmp_path / "source.db") as log:
        stamps = {slot: past_ms if slot <= end else future_ms for slot in range(1, log.last_slot + 1)}
        url = upload(log, seaweedfs, stamps)
        moment = litestream_timestamp(newest_change_ms(url, seaweedfs))
        found = restore(url, tmp_path, "-timestamp", moment, env=seaweedfs.environment())
        assert found == rebuild(None, log.segments[:end]).to_bytes() != log.image()


async def test_litestream_restores_any_time_from_an_export(tmp_path: Path) -> None:
    store = MemoryStore(SystemClock())
    with snapshots(tmp_path / "source.db") as log:
        for name, body in log.objects().items():
            await store.put(PREFIX + name.path, body)
        await store.put(PREFIX + "current.json", b"{}")
        await export_log(store, PREFIX, tmp_path / "replica")
        url = f"file://{tmp_path / 'replica'}"
        assert restore(url, tmp_path) == log.image()
        for segment in log.segments[3:-1]:
            moment = litestream_timestamp(segment.timestamp_ms + 2)
            expected = rebuild(None, log.segments[: segment.last]).to_bytes()
            assert restore(url, tmp_path, "-timestamp", moment) == expected


def test_the_judge_refuses_a_log_with_a_missing_slot(tmp_path: Path) -> None:
    with long_tail(tmp_path / "source.db") as log:
        url = log.write_file_layout(tmp_path / "replica")
        (tmp_path / "replica/ltx/0" / f"{200:016x}-{200:016x}.ltx").unlink()
        with pytest.raises(JudgeRefused, match="non-contiguous"):
            restore(url, tmp_path)


def test_a_replica_that_litestream_wrote_decodes_and_rebuilds_here(tmp_path: Path) -> None:
    path = tmp_path / "source.db"
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute(CREATE)
        for count in (50, 20, 5):
            connection.execute(insert(count)).fetchall()
            run("replicate", "-once", str(path), f"file://{tmp_path / 'replica'}", env={})
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    files = sorted((tmp_path / "replica/ltx/0").iterdir())
    segments = [decode_segment(file.read_bytes(), name=file.name) for file in files]
    assert len(segments) >= 3
    image = rebuild(None, segments)
    rebuilt_path = tmp_path / "rebuilt.db"
    rebuilt_path.write_bytes(image.to_bytes())
    with closing(apsw.Connection(str(path))) as source, closing(apsw.Connection(str(rebuilt_path))) as rebuilt:
        assert dump(rebuilt)["rows"]["clip"] == dump(source)["rows"]["clip"]


def upload(log: SourceDatabase, server: S3Server, stamps: Mapping[int, int] | None = None) -> str:
    """Put the log under our own keys into a fresh bucket, `stamps` (ms by slot) in the metadata; the replica's URL."""
    bucket, client = server.new_bucket(), server.client()
    stamps = stamps or {segment.last: segment.timestamp_ms for segment in log.segments}
    try:
        for name, body in log.objects().items():
            metadata = {TIMESTAMP_KEY: litestream_timestamp(stamps[name.last])}
            client.put_object(Bucket=bucket, Key=PREFIX + name.path, Body=body, Metadata=metadata)
    finally:
        client.close()
    return f"s3://{bucket}/{PREFIX.rstrip('/')}?endpoint={server.endpoint}&region={server.region}"


def newest_change_ms(url: str, server: S3Server) -> int:
    """When the bucket of `url` last changed, by its own clock."""
    client = server.client()
    try:
        listed = client.list_objects_v2(Bucket=url.split("/")[2])["Contents"]
    finally:
        client.close()
    return int(max(each["LastModified"].timestamp() for each in listed) * 1000)


def restore(url: str, folder: Path, *options: str, env: Mapping[str, str] | None = None) -> bytes:
    """The database file as Litestream restores it, after its own full integrity check."""
    output = folder / "restored.db"
    run("restore", "-o", str(output), "-integrity-check", "full", *options, url, env=env or {})
    body = output.read_bytes()
    output.unlink()
    return body


def vfs_rows(url: str, folder: Path, *, env: Mapping[str, str] | None = None) -> Any:
    """Rows as Litestream's VFS reads them straight from the replica."""
    command = [sys.executable, "-m", "tests.storage.log.vfs_dump"]
    variables = {"LITESTREAM_REPLICA_URL": url, "TMPDIR": str(folder), **(env or {})}
    return json.loads(_run(command, variables))


def run(*arguments: str, env: Mapping[str, str]) -> str:
    """Run the litestream command; raises JudgeRefused with its output."""
    beside = Path(sys.executable).parent / "litestream"
    program = str(beside) if beside.exists() else shutil.which("litestream")
    assert program is not None, f"litestream is not installed: expected it at {beside} (install the dev extras)"
    return _run([program, *arguments], env)


def _run(command: list[str], variables: Mapping[str, str]) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LITESTREAM_"))}
    result = subprocess.run(
        command, cwd=REPOSITORY, env={**kept, **variables}, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S
    )
    if result.returncode != 0:
        raise JudgeRefused(f"{command} ended with {result.returncode}: {result.stdout}{result.stderr}")
    return result.stdout
