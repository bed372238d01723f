"""Media into projects, by the records that name them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from migrate.layout.projects import ProjectMove
from migrate.layout.record_source import JsonLines
from migrate.layout.report import Outcome, UnitReport
from storage.layout.resolver import KeyResolver
from storage.objects.memory import MemoryStore
from storage.objects.port import ObjectStore
from tests.migrate.layout.flat_bucket import ENV, FailingStore, Killed, QuickClock, a_flat_bucket, contents, parts

SCENE = {
    "_id": "s1",
    "project_id": "p1",
    "user_id": "u1",
    "media": {"storageKey": "uploads/back.jpg", "type": "image"},
    "audio": {"storageKey": "voice.mp3"},
}
RECORDS: list[dict[str, Any]] = [
    SCENE,
    {"project_id": "p1", "storage_key": "final.mp4", "note": "kept"},
    {"user_id": "u1", "storage_key": "nobody.mp4"},
    {"project_id": 7, "scene_id": 8, "type": "video", "storage_key": "shared.mp4"},
    {"project_id": 7, "scene_id": 9, "storage_key": "shared.mp4"},
]
FILES = {"uploads/back.jpg": b"jpg", "voice.mp3": b"mp3", "final.mp4": b"final", "nobody.mp4": b"n", "shared.mp4": b"s"}
MOVED = {
    "users/u1/projects/p1/scenes/s1/image/back.jpg": b"jpg",
    "users/u1/projects/p1/scenes/s1/audio/voice.mp3": b"mp3",
    "users/default/projects/p1/output/final.mp4": b"final",
    "users/default/projects/7/scenes/8/video/shared.mp4": b"s",
    "users/default/projects/7/scenes/9/video/shared.mp4": b"s",
}


def a_file(folder: Path, records: list[dict[str, Any]] = RECORDS) -> Path:
    path = folder / "scenes.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def records_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def project_move(store: ObjectStore, path: Path) -> ProjectMove:
    return ProjectMove(parts(store), JsonLines(path))


async def test_media_are_copied_and_their_records_name_the_new_keys(tmp_path: Path) -> None:
    store, path = await a_flat_bucket(FILES), a_file(tmp_path)
    report = await project_move(store, path).migrate(execute=True)
    assert (report.outcome, report.copied.objects, report.failed, report.agrees) == (Outcome.DONE, 5, 0, True)
    assert await contents(store, "users/") == MOVED
    found = records_in(path)
    assert found[0]["media"] == {"storageKey": "users/u1/projects/p1/scenes/s1/image/back.jpg", "type": "image"}
    assert found[0]["audio"] == {"storageKey": "users/u1/projects/p1/scenes/s1/audio/voice.mp3"}
    assert found[1] == {**RECORDS[1], "storage_key": "users/default/projects/p1/output/final.mp4"}
    assert found[2] == RECORDS[2], "without a project the key keeps the old format"
    assert report.notes == ["1 keys keep the old format: their records name no project"]


async def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    store, path = await a_flat_bucket(FILES), a_file(tmp_path)
    report = await project_move(store, path).migrate(execute=False)
    assert (report.outcome, report.before.objects, report.notes[-1]) == (Outcome.PLANNED, 5, "5 media to move")
    assert (await contents(store), records_in(path)) == (FILES, RECORDS)


async def test_old_keys_resolve_until_finalize_deletes_them(tmp_path: Path) -> None:
    store, path = await a_flat_bucket(FILES), a_file(tmp_path)
    await project_move(store, path).migrate(execute=True)
    resolver = KeyResolver(store, ENV, clock=QuickClock())
    assert await resolver.resolve("voice.mp3") == "users/u1/projects/p1/scenes/s1/audio/voice.mp3"
    assert await resolver.resolve("nobody.mp4") == "nobody.mp4"
    dry = await project_move(store, path).finalize(execute=False)
    assert (dry.outcome, dry.before.objects) == (Outcome.PLANNED, 5)
    report = await project_move(store, path).finalize(execute=True)
    assert (report.outcome, report.deleted.objects, report.failed) == (Outcome.DONE, 4, 0)
    assert await contents(store) == {**MOVED, "nobody.mp4": b"n"}
    assert await resolver.resolve("voice.mp3") == "voice.mp3"


async def test_records_go_back_to_their_old_keys(tmp_path: Path) -> None:
    store, path = await a_flat_bucket(FILES), a_file(tmp_path)
    await project_move(store, path).migrate(execute=True)
    report = await project_move(store, path).roll_back(execute=True)
    assert (report.outcome, records_in(path)) == (Outcome.DONE, RECORDS)
    assert (await project_move(store, path).finalize(execute=True)).deleted.objects == 0
    assert FILES.items() <= (await contents(store)).items()


async def test_a_run_killed_at_any_call_is_resumed_by_the_next_one(tmp_path: Path) -> None:
    for late in (False, True):
        fail_at = 1
        while True:
            store, path = await a_flat_bucket(FILES), a_file(tmp_path)
            failing = FailingStore(store, fail_at=fail_at, late=late)
            for step in ("migrate", "finalize"):
                try:
                    await getattr(project_move(failing, path), step)(execute=True)
                except Killed:
                    break
            for key in await named_keys(path):
                assert key in await contents(store), (fail_at, key)
            for step in ("migrate", "finalize"):
                report: UnitReport = await getattr(project_move(store, path), step)(execute=True)
                assert report.failed == 0, (fail_at, report)
            assert await contents(store) == {**MOVED, "nobody.mp4": b"n"}
            if failing.untouched:
                break
            fail_at += 1
        assert fail_at > 50


async def named_keys(path: Path) -> list[str]:
    found = []
    for record in records_in(path):
        for holder in (record, record.get("media", {}), record.get("audio", {})):
            found += [holder[name] for name in ("storage_key", "storageKey") if name in holder]
    return found


async def test_two_files_of_one_name_for_one_place_do_not_overwrite_each_other(tmp_path: Path) -> None:
    store = await a_flat_bucket({"a/x.jpg": b"one", "b/x.jpg": b"two"})
    records = [{"project_id": "p", "scene_id": "s", "storage_key": key} for key in ("a/x.jpg", "b/x.jpg")]
    path = a_file(tmp_path, records)
    report = await project_move(store, path).migrate(execute=True)
    assert (report.outcome, report.failed, report.agrees) == (Outcome.CONFLICT, 1, False)
    assert [record["storage_key"] for record in records_in(path)] == [
        "users/default/projects/p/scenes/s/image/x.jpg",
        "b/x.jpg",
    ]
    assert (await store.get("users/default/projects/p/scenes/s/image/x.jpg")).body == b"one"


async def test_missing_objects_and_unknown_media_types_are_counted_and_stop_nobody(tmp_path: Path) -> None:
    records = [
        {"project_id": "p", "scene_id": "s", "storage_key": "gone.jpg"},
        {"project_id": "p", "scene_id": "s", "storage_key": "script.exe"},
        {"project_id": "p", "scene_id": "s", "type": "text", "storage_key": "voice.mp3"},
        {"project_id": "..", "scene_id": "s", "storage_key": "voice.mp3"},
        {"project_id": "p", "scene_id": "s", "storage_key": "voice.mp3"},
    ]
    store, path = await a_flat_bucket(FILES), a_file(tmp_path, records)
    report = await project_move(store, path).migrate(execute=True)
    assert (report.failed, report.copied.objects) == (4, 1)
    assert "media type 'text': expected one of audio, image, video" in report.errors[1]


async def test_an_old_object_written_after_the_copy_is_not_deleted(tmp_path: Path) -> None:
    store, path = await a_flat_bucket(FILES), a_file(tmp_path)
    await project_move(store, path).migrate(execute=True)
    await store.put("voice.mp3", b"new voice")
    report = await project_move(store, path).finalize(execute=True)
    assert (report.outcome, report.failed) == (Outcome.CONFLICT, 1)
    assert (await store.get("voice.mp3")).body == b"new voice"


async def test_an_old_object_that_a_record_still_names_is_kept(tmp_path: Path) -> None:
    store, path = await a_flat_bucket(FILES), a_file(tmp_path)
    await project_move(store, path).migrate(execute=True)
    a_file(tmp_path, [*records_in(path), {"user_id": "u2", "storage_key": "voice.mp3"}])
    await project_move(store, path).finalize(execute=True)
    assert isinstance(store, MemoryStore)
    assert (await store.get("voice.mp3")).body == b"mp3"
