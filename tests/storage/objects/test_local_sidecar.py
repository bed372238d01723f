"""Sidecars: which entry belongs to which file, and their bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import CorruptObject, UnsupportedVersion
from storage.objects.local_sidecar import Entry, FileStamp, Sidecar, decode_sidecar, encode_sidecar, sidecar_name

A, B, C = "a" * 32, "b" * 32, "c" * 32


def an_entry(etag: str = A, *, size: int = 1, time: int = 10, inode: int = 100, **metadata: str) -> Entry:
    return Entry(etag, FileStamp(size, time, inode), metadata)


def test_an_entry_is_found_by_size_and_time_whatever_the_inode() -> None:
    old, new = an_entry(A, time=10), an_entry(B, time=20)
    sidecar = Sidecar((new, old))
    assert sidecar.by_stamp(FileStamp(1, 10, 999)) is old
    assert sidecar.by_stamp(FileStamp(1, 20, 999)) is new
    assert sidecar.by_stamp(FileStamp(1, 30, 100)) is None
    assert sidecar.by_stamp(FileStamp(2, 10, 100)) is None


def test_entries_alike_are_told_apart_by_inode_or_not_at_all() -> None:
    old, new = an_entry(A, inode=1), an_entry(B, inode=2)
    sidecar = Sidecar((new, old))
    assert sidecar.by_stamp(FileStamp(1, 10, 1)) is old
    assert sidecar.by_stamp(FileStamp(1, 10, 2)) is new
    assert sidecar.by_stamp(FileStamp(1, 10, 3)) is None


def test_a_promise_is_broken_only_when_size_and_time_are_known() -> None:
    sidecar = Sidecar((an_entry(B, time=20), an_entry(A, time=10)))
    assert sidecar.promised(FileStamp(1, 10, 5)) == A
    assert sidecar.promised(FileStamp(1, 11, 5)) is None
    assert sidecar.by_etag(A) is sidecar.entries[1]
    assert sidecar.by_etag(C) is None


def test_a_new_entry_keeps_the_one_in_place_and_no_other() -> None:
    a, b, c = an_entry(A), an_entry(B), an_entry(C)
    assert Sidecar((a, b)).with_new(c, b).entries == (c, b)
    assert Sidecar((a,)).with_new(b, None).entries == (b,)
    again = an_entry(A, time=99)
    assert Sidecar((a, b)).with_new(again, a).entries == (again,)


def test_a_long_name_has_a_sidecar_too() -> None:
    assert sidecar_name("a.mp4") == ".holdfast-meta.a.mp4"
    long = "ä" * 127
    assert len(sidecar_name(long).encode()) <= 255
    assert sidecar_name(long) != sidecar_name("b" + long)


def test_the_bytes_of_version_1_stay_readable() -> None:
    data = (
        b'{"entries":[{"etag":"' + A.encode() + b'","stamp":{"size":1,"mtime_ns":10,"inode":100},'
        b'"metadata":{"k":"v"},"content_type":"video/mp4"}],"version":1}'
    )
    sidecar = Sidecar((Entry(A, FileStamp(1, 10, 100), {"k": "v"}, "video/mp4"),))
    assert decode_sidecar(data, "path") == sidecar
    assert encode_sidecar(sidecar) == data


@given(
    st.lists(
        st.builds(
            Entry,
            st.text(),
            st.builds(FileStamp, st.integers(0, 2**62), st.integers(0, 2**62), st.integers(0, 2**62)),
            st.dictionaries(st.text(), st.text()),
            st.none() | st.text(),
        ),
        max_size=2,
    )
)
def test_what_is_written_is_read(entries: list[Entry]) -> None:
    sidecar = Sidecar(tuple(entries))
    assert decode_sidecar(encode_sidecar(sidecar), "path") == sidecar


def test_every_truncation_is_noticed() -> None:
    data = encode_sidecar(Sidecar((an_entry(k="v"),)))
    for length in range(len(data)):
        with pytest.raises(CorruptObject, match="sidecar some/path"):
            decode_sidecar(data[:length], "some/path")


def test_a_newer_version_is_refused() -> None:
    with pytest.raises(UnsupportedVersion, match="version 2"):
        decode_sidecar(b'{"version":2,"entries":{"other":"shape"}}', "path")
