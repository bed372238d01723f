"""Which host an address belongs to. Pure.

Dedicated: a host of its own, named after the address. Shared: one of a fixed number, by rendezvous hashing: every host
draws a number for the address, the highest wins. A host more therefore only takes addresses, from all others evenly;
one less only gives its own away.
"""

from __future__ import annotations

from hashlib import blake2b

from actors.hosting.settings import PlacementSettings
from storage.layout.address import Address


def host_of(address: Address, placement: PlacementSettings) -> str:
    """The name of the host that runs `address`."""
    if placement.mode == "dedicated":
        return dedicated_host(address)
    return shared_host(max(range(placement.shared_hosts), key=lambda index: _draw(address, index)))


def dedicated_host(address: Address) -> str:
    return f"user/{address.user}/{address.profile}"


def shared_host(index: int) -> str:
    return f"host/{index}"


def _draw(address: Address, index: int) -> bytes:
    return blake2b(f"{index}:{address}".encode(), digest_size=8).digest()
