"""Reserved names in definitions: found in any quotes and case, not in comments or longer words."""

from __future__ import annotations

import pytest

from actors.database.reserved import check_schema, identifiers, reserved_name_in, system_entries
from actors.errors import NotAuthorized
from tests.actors.database.factory import a_database, plain


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("CREATE TABLE x(a REFERENCES _cf_kv(key))", "_cf_kv"),
        ('CREATE TABLE x(a REFERENCES "_CF_kv"(key))', "_CF_kv"),
        ("CREATE TABLE x(a REFERENCES [_cf_kv])", "_cf_kv"),
        ("CREATE TABLE x(a REFERENCES `_cf_kv`)", "_cf_kv"),
        ("CREATE VIRTUAL TABLE x USING fts5(a, content='_cf_kv')", "_cf_kv"),
        ("CREATE VIEW x AS SELECT * FROM main._cf_kv", "_cf_kv"),
        ("CREATE VIEW x AS SELECT '--' , _cf_kv", "_cf_kv"),
        ("CREATE TABLE x(my_cf_kv, b_cf_, c$_cf_)", None),
        ("CREATE TABLE x(a) -- _cf_kv", None),
        ("CREATE TABLE x(a /* _cf_kv */)", None),
        ("CREATE TABLE x(a DEFAULT 'about _cf_ names')", None),
        ("CREATE TABLE ä_cf_x(a)", None),
    ],
)
def test_the_first_reserved_name_is_found(sql: str, name: str | None) -> None:
    assert reserved_name_in(sql) == name


def test_quoted_names_are_words_with_their_quotes_doubled_or_not() -> None:
    assert list(identifiers("""a "b""c" 'd''e' [f g] `h` /* i */ 5 _j -- k""")) == [
        "a",
        'b""c',
        "d''e",
        "f g",
        "h",
        "_j",
    ]


def test_the_systems_entries_must_stay_exactly_as_they_were() -> None:
    connection = plain(a_database("CREATE TABLE t(a)").copy_image())

    def query(sql: str) -> list[tuple[object, ...]]:
        return list(connection.execute(sql).fetchall())

    connection.execute("CREATE TABLE _cf_a(x)")
    before = system_entries(query)
    check_schema(query, before)
    for change, undo in (
        ("ALTER TABLE t RENAME TO _cf_b", "ALTER TABLE _cf_b RENAME TO t"),
        ("ALTER TABLE _cf_a ADD COLUMN y", "ALTER TABLE _cf_a DROP COLUMN y"),
        ("CREATE INDEX i ON _cf_a(x)", "DROP INDEX i"),
        ("DROP TABLE _cf_a", "CREATE TABLE _cf_a(x)"),
    ):
        connection.execute(change)
        with pytest.raises(NotAuthorized):
            check_schema(query, before)
        connection.execute(undo)
        check_schema(query, before)
