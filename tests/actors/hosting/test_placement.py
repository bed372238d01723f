"""Where an address belongs: the same everywhere, spread evenly, moved as little as possible."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.hosting.placement import host_of
from actors.hosting.settings import PlacementSettings
from storage.errors import InvalidRequest
from storage.layout.address import Address

names = st.text("abcdefghij0123456789", min_size=1, max_size=12)
addresses = st.builds(Address, names, names)


def shared(hosts: int) -> PlacementSettings:
    return PlacementSettings(mode="shared", shared_hosts=hosts)


@given(addresses)
def test_a_dedicated_host_carries_the_address_in_its_name(address: Address) -> None:
    assert host_of(address, PlacementSettings()) == f"user/{address.user}/{address.profile}"


@given(addresses, st.integers(1, 20))
def test_one_host_more_takes_addresses_and_moves_nothing_else(address: Address, hosts: int) -> None:
    before, after = host_of(address, shared(hosts)), host_of(address, shared(hosts + 1))
    assert after in (before, f"host/{hosts}")


def test_addresses_spread_evenly() -> None:
    count = Counter(host_of(Address(f"user{n}", "default"), shared(8)) for n in range(8000))
    assert len(count) == 8 and min(count.values()) > 850 and max(count.values()) < 1150


def test_placement_does_not_change_between_versions() -> None:
    """Golden: hosts of a rolling deploy agree on who serves whom."""
    assert [host_of(Address(user, "default"), shared(4)) for user in ("alice", "bob", "carol", "dave")] == [
        "host/2",
        "host/0",
        "host/3",
        "host/0",
    ]


def test_nonsense_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="shared_hosts is 0"):
        shared(0).validate()
    with pytest.raises(InvalidRequest, match="expected dedicated or shared"):
        PlacementSettings(mode="other").validate()  # type: ignore[arg-type]
