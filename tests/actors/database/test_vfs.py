"""The page-capturing VFS: what a commit hands out is exactly what it changed, and nothing else ever leaks."""

from __future__ import annotations

import random

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.database.database import Database
from actors.database.image import PageImage, zero_page
from actors.database.vfs import ImageFile, connect, merge_commits
from actors.errors import ConstraintFailed, DatabaseBroken, JournalFull, SqlError
from storage.errors import HoldfastError
from tests.actors.database.factory import SETTINGS, Follower, a_batch, a_database, integrity_problems, rows, run

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b TEXT)"
INDEX = "CREATE INDEX t_b ON t(b)"

operations = st.one_of(
    st.tuples(st.just("INSERT INTO t(a, b) VALUES(?, ?)"), st.integers(0, 9000), st.integers(0, 50)),
    st.tuples(st.just("UPDATE t SET a = zeroblob(?) WHERE b = ?"), st.integers(0, 9000), st.integers(0, 50)),
    st.tuples(st.just("DELETE FROM t WHERE length(a) > ? AND b < ?"), st.integers(0, 9000), st.integers(0, 50)),
    st.tuples(
        st.just("CREATE TABLE IF NOT EXISTS u AS SELECT * FROM t WHERE id > ? AND id > ?"), st.just(0), st.just(1)
    ),
    st.tuples(st.just("DROP TABLE IF EXISTS u"), st.none(), st.none()),
    st.tuples(st.just("INSERT INTO t(id, a) SELECT 1, 2 UNION ALL SELECT ?, ?"), st.just(1), st.just(1)),
)


@given(st.sampled_from([512, 4096, 65536]), st.lists(operations, max_size=25))
@settings(max_examples=60, deadline=None)
def test_an_image_rebuilt_from_the_commits_equals_the_live_one(
    page_size: int, steps: list[tuple[str, int, int]]
) -> None:
    database = a_database(TABLE, INDEX, page_size=page_size)
    follower = Follower(database)
    for sql, first, second in steps:
        params: list[object] | None = None if first is None else [first, second]
        if sql.startswith("INSERT INTO t(a, b)"):
            params = [bytes(first), f"{second}" * 7]
        try:
            run(database, sql, params)
        except ConstraintFailed:
            pass
        follower.follow()
    assert integrity_problems(follower.image) == []


@pytest.mark.parametrize("page_size", [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536])
def test_every_page_size_grows_shrinks_and_follows(page_size: int) -> None:
    database = a_database(TABLE, INDEX, page_size=page_size, cache_kib=1)
    follower, chance = Follower(database), random.Random(page_size)
    for number in range(120):
        if number % 10 == 9:
            run(database, "DELETE FROM t WHERE id % 3 = ?", [chance.randrange(3)])
        else:
            run(
                database,
                "INSERT INTO t(a, b) VALUES(?, ?)",
                [chance.randbytes(chance.randrange(3 * 4096)), "x" * number],
            )
        follower.follow()
    assert integrity_problems(follower.image) == []


def test_pages_that_sqlite_never_wrote_are_part_of_the_growth() -> None:
    database = a_database(TABLE, page_size=512)
    follower, holes = Follower(database), 0
    original = ImageFile._grow

    def grow(file: ImageFile, count: int) -> None:
        nonlocal holes
        holes += max(0, count - len(file.pages))
        original(file, count)

    chance = random.Random(7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImageFile, "_grow", grow)
        for _ in range(100):
            before = follower.image.page_count
            fill = ("INSERT INTO t(a) VALUES(?)", [bytes(chance.randrange(9000))])
            free = "DELETE FROM t WHERE id % 3 = 0"
            database.execute(a_batch(fill, fill, fill, free, ("INSERT INTO t(a) VALUES(?)", [b"x" * 600])))
            commit = follower.follow()
            assert commit is not None
            numbers = {number for number, _ in commit.pages}
            assert set(range(before + 1, commit.page_count + 1)) <= numbers
    assert holes > 0, "no hole was ever left, the test shows nothing"


def commit_now(file: ImageFile) -> None:
    """What SQLite calls at a commit."""
    file.xSync(0)
    file.xFileControl(apsw.SQLITE_FCNTL_COMMIT_PHASETWO, 0)


def test_a_hole_is_captured_as_zeros_even_over_a_page_that_was_cut_off_before() -> None:
    file = ImageFile(PageImage(512, [bytes([n]) * 512 for n in range(1, 5)]))
    file.xTruncate(2 * 512)
    file.xWrite(b"z" * 512, 4 * 512)
    commit_now(file)
    commit = file.take()
    assert commit is not None
    assert commit.page_count == 5
    assert commit.pages == ((3, zero_page(512)), (4, zero_page(512)), (5, b"z" * 512))


def test_writes_that_are_undone_before_the_sync_are_no_part_of_it() -> None:
    old = [b"a" * 512, b"b" * 512]
    file = ImageFile(PageImage(512, list(old)))
    file.xWrite(b"x" * 512, 0)
    file.xWrite(b"y" * 512, 512)
    file.xWrite(b"z" * 512, 1024)
    for number, page in enumerate(old):
        file.xWrite(page, 512 * number)
    file.xTruncate(1024)
    file.xSync(0)
    assert file.take() is None
    file.xWrite(b"c" * 512, 512)
    commit_now(file)
    commit = file.take()
    assert commit is not None
    assert commit.pages == ((2, b"c" * 512),)


def test_a_free_page_that_a_rollback_left_changed_is_restored_and_in_no_commit() -> None:
    """SQLite does not journal the content of free pages, so its own rollback leaves what it wrote there."""
    database = a_database(TABLE, "INSERT INTO t(a) VALUES(zeroblob(40000))", "DELETE FROM t")
    follower, before = Follower(database), database.copy_image().pages

    def veto() -> None:
        assert database.copy_image().pages != before
        raise apsw.IOError("vetoed")

    database.file.veto = veto
    with pytest.raises(DatabaseBroken):
        run(database, "INSERT INTO t(a) VALUES(?)", [b"x" * 30_000])
    assert follower.follow() is None
    assert database.copy_image().pages == before


def test_a_revert_restores_pages_that_were_cut_off_grown_and_overwritten() -> None:
    pages = [bytes([n]) * 512 for n in range(1, 5)]
    file = ImageFile(PageImage(512, pages.copy()))
    file.xTruncate(2 * 512)
    file.xWrite(b"z" * 512, 0)
    file.xWrite(b"z" * 512, 6 * 512)
    file.xSync(0)
    file.revert()
    assert file.pages == pages
    commit_now(file)
    assert file.take() is None


def test_two_commits_that_nobody_took_are_handed_out_as_one() -> None:
    database = a_database(TABLE)
    follower = Follower(database)
    run(database, "INSERT INTO t(a) VALUES(zeroblob(50000))")
    run(database, "INSERT INTO t(a) VALUES('x')")
    follower.follow()
    assert database.take_commit() is None


def test_merging_commits_drops_pages_past_the_later_end() -> None:
    file = ImageFile(PageImage(512, [b"a" * 512] * 3))
    file.xWrite(b"b" * 512, 2 * 512)
    commit_now(file)
    first = file.take()
    file.xTruncate(512)
    file.xWrite(b"c" * 512, 0)
    commit_now(file)
    second = file.take()
    assert first is not None and second is not None
    merged = merge_commits(first, second)
    assert merged.page_count == 1
    assert merged.pages == ((1, b"c" * 512),)


def test_reads_and_changes_of_nothing_commit_nothing() -> None:
    database = a_database(TABLE, "INSERT INTO t(a) VALUES(1)")
    for sql in (
        "SELECT * FROM t",
        "UPDATE t SET a = 2 WHERE 0",
        "PRAGMA foreign_keys",
        "CREATE TABLE IF NOT EXISTS t(z)",
    ):
        assert database.execute(a_batch(sql)).readonly
        assert database.take_commit() is None


class Refusal(Exception):
    """A test's veto."""


@pytest.mark.parametrize(
    "batch", [("INSERT INTO t(a) VALUES(zeroblob(9000))",), ("DELETE FROM t", "CREATE TABLE u(a)")]
)
def test_a_vetoed_commit_leaves_the_image_as_it_was_and_leaks_nothing_later(batch: tuple[str, ...]) -> None:
    database = a_database(TABLE, INDEX, "INSERT INTO t(a, b) VALUES(zeroblob(20000), 'x')")
    follower, before = Follower(database), database.copy_image().pages

    def veto() -> None:
        raise apsw.IOError("vetoed")

    database.file.veto = veto
    with pytest.raises(DatabaseBroken, match="vetoed"):
        database.execute(a_batch(*batch))
    assert database.take_commit() is None
    assert database.copy_image().pages == before
    reopened = Database.open(database.copy_image(), SETTINGS)
    assert rows(reopened, "SELECT length(a), b FROM t") == [(20000, "x")]
    assert integrity_problems(follower.image) == []


@pytest.mark.parametrize("seed", range(6))
def test_a_database_goes_on_after_vetoes_of_ours_as_if_the_refused_batches_had_never_run(seed: int) -> None:
    database, chance = a_database(TABLE, INDEX, page_size=1024, cache_kib=2), random.Random(seed)
    twin = a_database(TABLE, INDEX, page_size=1024)
    follower = Follower(database)
    refused = 0

    def refuse() -> None:
        raise JournalFull("no room in the journal")

    for number in range(150):
        insert = ("INSERT INTO t(a, b) VALUES(?, ?)", [bytes(chance.randrange(9000)), "x" * chance.randrange(99)])
        batch = chance.choice(
            (
                a_batch(insert),
                a_batch(insert, insert, "DELETE FROM t WHERE id % 3 = 0"),
                a_batch(("DELETE FROM t WHERE id > ?", [chance.randrange(100)])),
                a_batch(f"CREATE TABLE u{number}(a)", f"INSERT INTO u{number} SELECT id FROM t"),
                a_batch("SELECT count(*) FROM t"),
            )
        )
        database.file.veto = refuse if chance.random() < 0.4 else None
        try:
            database.execute(batch)
        except JournalFull:
            refused += 1
            assert follower.follow() is None
        else:
            twin.execute(batch)
            follower.follow()
        database.file.veto = None
    assert refused > 20
    query = "SELECT id, length(a), b FROM t ORDER BY id"
    assert rows(database, query) == rows(twin, query)
    assert integrity_problems(follower.image) == []


def test_uncommitted_pages_never_reach_the_image() -> None:
    database = a_database(TABLE, cache_kib=1)
    before = database.copy_image().pages
    seen: list[list[bytes]] = []
    filled = [("INSERT INTO t(a) VALUES(zeroblob(4000))", None)] * 100
    database.execute(a_batch(*filled), extra=lambda sql, results: seen.append(database.copy_image().pages))
    assert seen == [before]
    assert database.copy_image().page_count > 100


def autovacuumed() -> PageImage:
    connection = apsw.Connection(":memory:")
    connection.execute("PRAGMA auto_vacuum = FULL; CREATE TABLE t(id INTEGER PRIMARY KEY, a, b TEXT)")
    return PageImage.from_bytes(connection.serialize("main"))


def test_an_auto_vacuumed_database_shrinks_in_the_commit_that_frees_pages() -> None:
    database = a_database(image=autovacuumed())
    follower = Follower(database)
    run(database, "INSERT INTO t(a) VALUES(zeroblob(200000))")
    follower.follow()
    large = follower.image.page_count
    run(database, "DELETE FROM t")
    commit = follower.follow()
    assert commit is not None
    assert commit.page_count < large / 10
    assert integrity_problems(follower.image) == []


def test_a_database_across_the_page_of_sqlites_locks_follows_and_skips_it() -> None:
    """Page 16385 of 64 KiB pages starts at 1 GiB; the pages before it are one shared object here."""
    image = a_database(TABLE, page_size=65536).copy_image()
    lock_page = (1 << 30) // 65536 + 1
    first = bytearray(image.pages[0])
    first[28:32] = (lock_page - 2).to_bytes(4, "big")
    image.pages[0] = bytes(first)
    image.pages.extend([zero_page(65536)] * (lock_page - 2 - image.page_count))
    database = a_database(image=image, page_size=65536, database_bytes_max=2 << 30)
    follower = Follower(database)
    for number in range(4):
        run(database, "INSERT INTO t(id, a) VALUES(?, ?)", [number, bytes([65 + number]) * 100_000])
        follower.follow()
    assert follower.image.page_count > lock_page
    assert follower.image.pages[lock_page - 1] == zero_page(65536)
    assert rows(database, "SELECT id, length(a), substr(a, 1, 1) FROM t") == [
        (n, 100_000, bytes([65 + n])) for n in range(4)
    ]


def test_names_that_were_not_announced_are_files_in_memory() -> None:
    connection = apsw.Connection("/nowhere-in-particular", vfs="holdfast-image")
    connection.execute("CREATE TABLE t(a); INSERT INTO t VALUES(1), (2)")
    assert connection.execute("SELECT sum(a) FROM t").fetchall() == [(3,)]
    connection.close()


def test_a_read_only_connection_refuses_writes() -> None:
    image = a_database(TABLE).copy_image()
    connection = connect(ImageFile(image), read_only=True, statements_cached=0)
    with pytest.raises(apsw.ReadOnlyError):
        connection.execute("INSERT INTO t(a) VALUES(1)")
    connection.close()


def test_many_images_are_open_at_once_and_do_not_mix() -> None:
    databases = [a_database(TABLE, f"INSERT INTO t(a) VALUES({number})") for number in range(30)]
    assert [rows(database, "SELECT a FROM t")[0][0] for database in databases] == list(range(30))
    for database in databases:
        database.close()
    with pytest.raises(DatabaseBroken):
        run(databases[0], "SELECT 1")


def test_pieces_smaller_or_larger_than_a_page_are_read_and_written() -> None:
    file = ImageFile(PageImage(512, [b"a" * 512, b"b" * 512]))
    file.xWrite(b"x" * 600, 500)
    assert file.xRead(1024, 0) == b"a" * 500 + b"x" * 524
    assert file.xRead(100, 1000) == b"x" * 100
    assert file.xRead(10, 5000) == b""
    assert len(file.pages) == 3


def test_a_name_too_many_is_an_error_of_the_request_not_of_the_image() -> None:
    database = a_database(TABLE)
    with pytest.raises(SqlError, match="no such table") as caught:
        run(database, "SELECT * FROM missing")
    assert isinstance(caught.value, HoldfastError)
    assert run(database, "SELECT count(*) FROM t").rows == [(0,)]
