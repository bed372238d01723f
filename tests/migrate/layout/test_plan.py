"""What two listings and an inventory decide."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.layout.plan import SOURCE_ETAG, Inventory, Move, compare, drift, judge, plan_moves, tally
from storage.errors import InvalidRequest
from storage.objects.port import ObjectInfo
from tests.storage.layout.layout_keys import flat_keys


def an_object(key: str = "ana/x", etag: str = "e1", size: int = 3, stamp: str | None = None) -> ObjectInfo:
    return ObjectInfo(key, size, etag, 0.0, {} if stamp is None else {SOURCE_ETAG: stamp})


CASES = {
    "same": (an_object(etag="e1"), an_object(etag="e1"), {}),
    "missing": (an_object(), None, {}),
    "stale": (an_object(etag="e2"), an_object(etag="e1"), {"ana/x": ("e2", "e1")}),
    "unsure, foreign": (an_object(etag="e2"), an_object(etag="e1"), {"ana/x": ("e2",)}),
    "unsure, another size": (an_object(etag="e1", size=3), an_object(etag="e1", size=4), {}),
    "unsure, multipart source": (an_object(etag="e-2"), an_object(etag="e-2"), {}),
    "unsure, multipart target": (an_object(etag="e1"), an_object(etag="e-2"), {}),
}


@pytest.mark.parametrize(("name", "case"), CASES.items())
def test_a_target_by_its_listing(
    name: str, case: tuple[ObjectInfo, ObjectInfo | None, dict[str, tuple[str, ...]]]
) -> None:
    source, target, etags = case
    found = compare([Move(source, "t")], {} if target is None else {"t": target}, Inventory(etags))
    assert [move.target for move in getattr(found, name.partition(",")[0])] == ["t"]


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (an_object(etag="m-2"), an_object(etag="plain", stamp="m-2"), "same"),
        (an_object(etag="m-2"), an_object(etag="m-2"), "same"),
        (an_object(etag="m-2"), an_object(etag="plain", stamp="m-2", size=4), "foreign"),
        (an_object(etag="m-3"), an_object(etag="plain", stamp="m-2"), "stale"),
        (an_object(etag="m-2"), an_object(etag="plain"), "foreign"),
    ],
)
def test_copies_of_multipart_uploads_are_told_by_the_etag_they_carry(
    source: ObjectInfo, target: ObjectInfo, expected: str
) -> None:
    assert (
        judge(Move(source, "t"), target, Inventory({"ana/x": ("m-3", "m-2")} if expected != "foreign" else {}))
        == expected
    )


@given(st.lists(flat_keys, unique_by=lambda parsed: parsed.key, max_size=20))
def test_every_object_is_planned_once_or_clashes(keys: list[object]) -> None:
    sources = [an_object(parsed.key) for parsed in keys]  # type: ignore[attr-defined]
    plan = plan_moves(sources, env="dev", default_profile="d0")
    planned = [move.source.key for move in (*plan.files, *plan.databases)] + [info.key for info in plan.documents]
    assert sorted(planned) == sorted(info.key for info in sources)
    targets = [move.target for move in (*plan.files, *plan.databases)]
    assert len(targets) - len(set(targets)) == len(plan.clashes)
    assert plan.tally == tally(move.source for move in (*plan.files, *plan.databases))


def test_a_key_of_another_layout_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        plan_moves([an_object("dev/users/a/x")], env="dev", default_profile="d0")


def test_drift_tells_added_changed_and_gone() -> None:
    inventory = Inventory().seen([an_object("ana/a"), an_object("ana/b"), an_object("ana/c")])
    found = drift([an_object("ana/a"), an_object("ana/b", "e2"), an_object("ana/d")], inventory)
    assert ([i.key for i in found.added], [i.key for i in found.changed], found.gone) == (
        ["ana/d"],
        ["ana/b"],
        ("ana/c",),
    )
    assert not found.nothing_to_lose


def test_an_earlier_content_that_comes_back_counts_as_a_change() -> None:
    inventory = Inventory({"ana/a": ("e2", "e1")})
    assert drift([an_object("ana/a", "e1")], inventory).changed


def test_an_inventory_remembers_the_newest_contents_within_a_bound() -> None:
    inventory = Inventory()
    for number in range(10):
        inventory = inventory.seen([an_object(etag=f"e{number}")])
    assert inventory.etags == {"ana/x": ("e9", "e8", "e7", "e6")}
