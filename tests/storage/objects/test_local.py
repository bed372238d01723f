"""The local store beyond the port: files dropped in, copied or rotten, writers killed, full disks, odd folders."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.clock import SystemClock
from storage.errors import (
    CorruptObject,
    HoldfastError,
    InvalidRequest,
    ObjectNotFound,
    OutcomeUnknown,
    StoreRefused,
    Unavailable,
    UnsupportedVersion,
)
from storage.objects import local_reader
from storage.objects.checksum import md5_hex
from storage.objects.local import LocalStore
from storage.objects.local_sidecar import Sidecar
from storage.objects.local_writer import Labels
from storage.objects.memory import MemoryStore
from storage.objects.port import ObjectStore
from storage.objects.settings import MIB

LABELS = {"holdfast-put-id": "p1"}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LocalStore]:
    opened = LocalStore(tmp_path, SystemClock())
    yield opened
    await opened.close()


def files(root: Path) -> set[str]:
    """Every file below `root` but the store's own state."""
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and ".holdfast" not in path.parts}


def drafts(root: Path) -> list[Path]:
    return list((root / ".holdfast/tmp/objects").iterdir())


async def test_keys_are_paths_below_the_root(store: LocalStore, tmp_path: Path) -> None:
    await store.put("dev/users/1/profiles.json", b"{}")
    assert (tmp_path / "dev/users/1/profiles.json").read_bytes() == b"{}"


async def test_an_object_without_metadata_needs_no_sidecar(store: LocalStore, tmp_path: Path) -> None:
    await store.put("dev/a", b"x")
    await store.put("dev/b", b"x", metadata=LABELS)
    assert sorted(os.listdir(tmp_path / "dev")) == [".holdfast-meta.b", "a", "b"]


async def test_a_file_dropped_in_by_hand_is_an_object(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "dev/games").mkdir(parents=True)
    (tmp_path / "dev/games/a.mp4").write_bytes(b"video")
    found = await store.get("dev/games/a.mp4")
    assert (found.body, found.info.etag, dict(found.info.metadata)) == (b"video", md5_hex(b"video"), {})
    assert await store.head("dev/games/a.mp4") == found.info
    assert [info.etag for info in (await store.list("dev/")).objects] == [md5_hex(b"video")]
    await store.put("dev/games/a.mp4", b"new", if_match=found.info.etag)


async def test_a_file_replaced_by_hand_loses_the_old_metadata(store: LocalStore, tmp_path: Path) -> None:
    await store.put("dev/a", b"old", metadata=LABELS)
    (tmp_path / "dev/a").write_bytes(b"edited by hand")
    found = await store.get("dev/a")
    assert (found.body, dict(found.info.metadata)) == (b"edited by hand", {})
    assert await store.head("dev/a") == found.info


async def test_a_copied_tree_keeps_etags_and_metadata(store: LocalStore, tmp_path: Path) -> None:
    await store.put("dev/a", b"body", metadata=LABELS)
    await asyncio.to_thread(shutil.copytree, tmp_path, tmp_path / "copy", copy_function=shutil.copyfile)
    os.utime(tmp_path / "copy/dev/a", ns=(1, 1))
    copied = LocalStore(tmp_path / "copy", SystemClock())
    head = await copied.head("dev/a")
    assert (head.etag, dict(head.metadata)) == (md5_hex(b"body"), LABELS)
    assert (await copied.list("dev/")).objects[0].etag == md5_hex(b"body")
    await copied.put("dev/a", b"next", if_match=head.etag)
    await copied.close()


async def test_head_and_list_do_not_read_an_unchanged_body(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put = await store.put("dev/a", b"body", metadata=LABELS)

    def refuse(path: str, key: str) -> None:
        raise AssertionError(f"{key} was opened")

    monkeypatch.setattr(local_reader, "_open", refuse)
    assert (await store.head("dev/a")).etag == put.etag
    assert [info.etag for info in (await store.list("dev/")).objects] == [put.etag]


async def test_a_rotten_body_is_noticed(store: LocalStore, tmp_path: Path) -> None:
    await store.put("dev/a", b"body", metadata=LABELS)
    path = tmp_path / "dev/a"
    times = path.stat()
    path.write_bytes(b"bodY")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(CorruptObject):
        await store.get("dev/a")
    with pytest.raises(CorruptObject):
        async with store.open("dev/a") as stream:
            _ = [chunk async for chunk in stream.chunks]
    with pytest.raises(CorruptObject):
        await store.copy("dev/a", "dev/b")
    assert await _keys(store) == ["dev/a"]
    await store.put("dev/a", b"healed", metadata=LABELS)
    assert (await store.get("dev/a")).body == b"healed"


@pytest.mark.parametrize("body_in_place", ["old", "new"])
async def test_a_crash_between_sidecar_and_body_loses_no_metadata(
    store: LocalStore, tmp_path: Path, body_in_place: str
) -> None:
    first = await store.put("dev/a", b"old", metadata={"of": "old"})
    kept = tmp_path / "kept"
    os.link(tmp_path / "dev/a", kept)
    await store.put("dev/a", b"new", metadata={"of": "new"})
    if body_in_place == "old":  # what the disk shows when the machine stopped before the body's rename
        os.rename(kept, tmp_path / "dev/a")
    found = await store.get("dev/a")
    assert (found.body, dict(found.info.metadata)) == (body_in_place.encode(), {"of": body_in_place})
    assert dict((await store.head("dev/a")).metadata) == {"of": body_in_place}
    if body_in_place == "old":
        await store.put("dev/a", b"third", metadata={"of": "third"}, if_match=first.etag)
        assert dict((await store.head("dev/a")).metadata) == {"of": "third"}


async def test_writes_of_one_size_and_time_are_told_apart(tmp_path: Path) -> None:
    class FrozenClock(SystemClock):
        def wall(self) -> float:
            return 1_700_000_000.0

    store = LocalStore(tmp_path, FrozenClock())
    for n in range(5):
        await store.put("dev/a", b"%d" % n, metadata={"n": str(n)})
        assert dict((await store.head("dev/a")).metadata) == {"n": str(n)}
        assert (await store.head("dev/a")).etag == md5_hex(b"%d" % n)
    await store.close()


@pytest.mark.parametrize("times", ["all alike", "first two alike", "all different"])
@pytest.mark.parametrize("reading", ["get", "open", "head", "list"])
async def test_writes_between_body_and_sidecar_make_the_reader_look_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: str, reading: str
) -> None:
    """The body is opened, two writers replace it, and only then its sidecar is read: it knows nothing of that body."""

    class SetClock(SystemClock):
        time = 1_700_000_000.0

        def wall(self) -> float:
            return self.time

    clock = SetClock()
    store = LocalStore(tmp_path, clock)
    await store.put("dev/a", b"A", metadata={"of": "A"})
    read_sidecar = local_reader.read_sidecar

    def late(path: str) -> Sidecar:
        monkeypatch.setattr(local_reader, "read_sidecar", read_sidecar)
        for name in ("B", "C"):
            if times == "all different" or (times == "first two alike" and name == "C"):
                clock.time += 1.0
            store._writer.put("dev/a", name.encode(), Labels({"of": name}))
        return read_sidecar(path)

    monkeypatch.setattr(local_reader, "read_sidecar", late)
    if reading == "get":
        found = await store.get("dev/a")
        assert (found.body, found.info.metadata["of"]) in [(b"B", "B"), (b"C", "C")]
    elif reading == "open":
        async with store.open("dev/a") as stream:
            body = b"".join([chunk async for chunk in stream.chunks])
            assert (body, stream.info.metadata["of"]) in [(b"B", "B"), (b"C", "C")]
    elif reading == "head":
        head = await store.head("dev/a")
        assert (head.etag, head.metadata["of"]) in [(md5_hex(b"B"), "B"), (md5_hex(b"C"), "C")]
    else:
        (listed,) = (await store.list("dev/")).objects
        assert listed.etag in (md5_hex(b"B"), md5_hex(b"C"))
    await store.close()


async def test_a_broken_sidecar_stops_its_object_and_no_listing(store: LocalStore, tmp_path: Path) -> None:
    for key in ("dev/a", "dev/b"):
        await store.put(key, b"x", metadata=LABELS)
    (tmp_path / "dev/.holdfast-meta.a").write_bytes(b'{"entries":[{"et')
    with pytest.raises(CorruptObject):
        await store.get("dev/a")
    assert await _keys(store) == ["dev/a", "dev/b"]
    (tmp_path / "dev/.holdfast-meta.a").write_bytes(b'{"version":2}')
    with pytest.raises(UnsupportedVersion):
        await store.head("dev/a")
    assert await _keys(store) == ["dev/a", "dev/b"]


async def test_a_key_through_an_object_or_onto_a_folder_is_refused(store: LocalStore, tmp_path: Path) -> None:
    await store.put("dev/a", b"x")
    await store.put("dev/folder/b", b"x")
    for key in ("dev/a/b", "dev/a/b/c", "dev/folder", "dev"):
        with pytest.raises(InvalidRequest):
            await store.put(key, b"y", metadata=LABELS)
        with pytest.raises(InvalidRequest):
            await store.put(key, b"y", if_none_match="*")
        for reading in (store.get(key), store.head(key)):
            with pytest.raises(ObjectNotFound):
                await reading
        await store.delete(key)
    assert (await store.list("dev/a/")).objects == ()
    assert files(tmp_path) == {"dev/a", "dev/folder/b"}


async def test_links_and_pipes_are_no_objects(store: LocalStore, tmp_path: Path) -> None:
    secret = tmp_path.parent / f"{tmp_path.name}-outside"
    secret.write_bytes(b"secret")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/link").symlink_to(secret)
    os.mkfifo(tmp_path / "dev/pipe")
    for name in ("dev/link", "dev/pipe"):
        with pytest.raises(ObjectNotFound):
            await store.get(name)
        with pytest.raises(ObjectNotFound):
            await store.head(name)
        with pytest.raises(ObjectNotFound):
            async with store.open(name):
                pass
    assert await _keys(store) == []
    await store.put("dev/link", b"replaces the link")
    assert secret.read_bytes() == b"secret"


async def test_the_stores_own_state_is_neither_listed_nor_reached(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / ".holdfast/secret").write_bytes(b"x")
    await store.put("dev/a", b"x", metadata=LABELS)
    assert await _keys(store) == ["dev/a"]
    assert (await store.list(".hold")).objects == ()
    with pytest.raises(InvalidRequest):
        await store.list(".holdfast/")
    with pytest.raises(InvalidRequest):
        await store.get(".holdfast/secret")


async def test_drafts_of_killed_writers_go_and_those_of_living_ones_stay(store: LocalStore, tmp_path: Path) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"first"
        started.set()
        await go_on.wait()
        yield b" second"

    abandoned = tmp_path / ".holdfast/tmp/objects/999999-0"
    abandoned.write_bytes(b"half")
    writing = asyncio.create_task(store.put_stream("dev/a", slow()))
    await started.wait()
    await LocalStore(tmp_path, SystemClock()).close()
    assert not abandoned.exists()
    assert len(drafts(tmp_path)) == 1
    go_on.set()
    await writing
    assert (await store.get("dev/a")).body == b"first second"
    assert drafts(tmp_path) == []


async def test_a_cancelled_stream_leaves_nothing(store: LocalStore, tmp_path: Path) -> None:
    started = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"first"
        started.set()
        await asyncio.Event().wait()

    writing = asyncio.create_task(store.put_stream("dev/a", endless()))
    await started.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert drafts(tmp_path) == []
    assert await _keys(store) == []


async def test_cancelled_puts_and_reads_break_nothing(store: LocalStore, tmp_path: Path) -> None:
    rng = random.Random(7)
    await store.put("dev/a", bytes(2 * MIB), metadata={"n": "0"})
    for n in range(60):
        work = [
            asyncio.create_task(store.put("dev/a", b"%d" % n * 1000, metadata={"n": str(n)})),
            asyncio.create_task(_read_all(store, "dev/a")),
        ]
        await asyncio.sleep(rng.random() * 0.001)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
    await store.close()
    gc.collect()
    assert drafts(tmp_path) == []
    again = LocalStore(tmp_path, SystemClock())
    found = await again.get("dev/a")
    if found.info.size < MIB:
        assert found.body == found.info.metadata["n"].encode() * 1000
    await again.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("condition", ["none", "absent", "match"])
async def test_a_full_disk_leaves_the_old_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, condition: str
) -> None:
    """The Nth system call of a put fails, for every N until none does."""
    for n in range(1, 100):
        store = LocalStore(tmp_path / str(n), SystemClock())
        old = None if condition == "absent" else await store.put("dev/u/a", b"old", metadata={"of": "old"})
        conditions = {
            "none": {},
            "absent": {"if_none_match": "*"},
            "match": {"if_match": old.etag if old else None},
        }[condition]
        fault = _Fault(n, number)
        with monkeypatch.context() as patch:
            for name in ("open", "write", "fsync", "rename", "mkdir", "utime"):
                patch.setattr(os, name, fault.around(getattr(os, name)))
            try:
                await store.put("dev/u/a", b"new", metadata={"of": "new"}, **conditions)  # type: ignore[arg-type]
                failed: HoldfastError | None = None
            except HoldfastError as error:
                failed = error
        if failed is None:
            assert not fault.happened
            assert n > 8
            break
        assert isinstance(failed, Unavailable)
        assert drafts(tmp_path / str(n)) == []
        new_is_visible = isinstance(failed, OutcomeUnknown)
        if old is None and not new_is_visible:
            with pytest.raises(ObjectNotFound):
                await store.get("dev/u/a")
        else:
            found = await store.get("dev/u/a")
            expected = "new" if new_is_visible else "old"
            assert (found.body, found.info.metadata["of"]) == (expected.encode(), expected)
        assert (await store.put("dev/u/a", b"again", metadata={"of": "again"})).size == 5
        await store.close()
    else:
        raise AssertionError("the put failed every time")
    await store.close()


async def test_a_closed_store_is_unavailable(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, SystemClock())
    await store.close()
    with pytest.raises(Unavailable, match="closed"):
        await store.put("dev/a", b"x", if_none_match="*")


async def test_a_read_only_directory_is_refused_in_words(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.put("dev/a", b"x")
    fault = _Fault(1, errno.EROFS)
    monkeypatch.setattr(os, "rename", fault.around(os.rename))
    with pytest.raises(StoreRefused, match="put dev/a: Read-only file system"):
        await store.put("dev/a", b"y")


async def test_a_folder_removed_by_hand_is_made_again(store: LocalStore, tmp_path: Path) -> None:
    await store.put("dev/u/p/a", b"x", metadata=LABELS)
    await asyncio.to_thread(shutil.rmtree, tmp_path / "dev/u")
    await store.put("dev/u/p/a", b"y", metadata=LABELS, if_none_match="*")
    assert (await store.get("dev/u/p/a")).body == b"y"


async def test_every_new_folder_is_synced_before_a_put_returns(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    await store.put("dev/u/p/a", b"x", metadata=LABELS)
    names = [os.path.relpath(path, tmp_path) for path in synced]
    assert names[-4:] == ["dev/u/p", "dev/u", "dev", "."]
    assert len(names) == 6  # body and sidecar before
    synced.clear()
    await store.put("dev/u/p/b", b"x")
    assert [os.path.relpath(path, tmp_path) for path in synced][1:] == ["dev/u/p"]


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["put", "create", "delete", "copy", "list", "get", "drop"]),
        st.sampled_from(["a", "b", "c/a", "c/b", "c/d/a", "c-", "c.x"]),
        st.integers(0, 3),
    ),
    max_size=30,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS)
async def test_any_history_reads_as_in_memory(tmp_path: Path, operations: list[tuple[str, str, int]]) -> None:
    root = Path(tempfile.mkdtemp(dir=tmp_path))
    local, memory = LocalStore(root, SystemClock()), MemoryStore(SystemClock())
    for operation, key, value in operations:
        if operation == "drop":  # a file dropped in by hand: without metadata
            (root / key).parent.mkdir(parents=True, exist_ok=True)
            (root / key).write_bytes(b"dropped%d" % value)
            await memory.put(key, b"dropped%d" % value)
        else:
            assert await _do(local, operation, key, value) == await _do(memory, operation, key, value)
    assert await _all(local) == await _all(memory)
    await local.close()


async def _do(store: ObjectStore, operation: str, key: str, value: int) -> object:
    metadata = {"n": str(value)} if value % 2 else None
    try:
        if operation == "put":
            return (await store.put(key, b"%d" % value, metadata=metadata)).etag
        if operation == "create":
            return (await store.put(key, b"%d" % value, metadata=metadata, if_none_match="*")).etag
        if operation == "copy":
            return (await store.copy(key, "c/d/a" if value % 2 else "b")).etag
        if operation == "get":
            found = await store.get(key)
            return found.body, dict(found.info.metadata)
        if operation == "list":
            page = await store.list("c" if value % 2 else "", start_after=key, limit=value + 1)
            return [(info.key, info.size, info.etag) for info in page.objects], page.next_start_after
        await store.delete(key)
        return None
    except HoldfastError as error:
        return type(error)


async def _all(store: ObjectStore) -> list[tuple[str, bytes, dict[str, str]]]:
    found = [await store.get(info.key) for info in (await store.list("")).objects]
    return [(each.info.key, each.body, dict(each.info.metadata)) for each in found]


async def _keys(store: ObjectStore) -> list[str]:
    return [info.key for info in (await store.list("")).objects]


async def _read_all(store: ObjectStore, key: str) -> bytes:
    async with store.open(key, chunk_bytes=100_000) as stream:
        return b"".join([chunk async for chunk in stream.chunks])


class _Fault:
    """Lets the Nth call of the functions it is put around fail."""

    def __init__(self, n: int, number: int) -> None:
        self._left = n
        self._number = number
        self.happened = False

    def around(self, function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **keywords: object) -> object:
            self._left -= 1
            if self._left == 0:
                self.happened = True
                raise OSError(self._number, os.strerror(self._number))
            return function(*arguments, **keywords)

        return call
