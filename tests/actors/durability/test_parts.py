"""What an activation is made of: identities."""

from __future__ import annotations

from tests.actors.kit import FakeDisk, HeldStore, Process, VirtualClock, virtual


@virtual
async def test_ids_are_128_random_bits_in_hex_and_differ() -> None:
    parts = Process(HeldStore(VirtualClock()), FakeDisk()).parts
    made = {parts.new_id() for _ in range(1000)}
    assert len(made) == 1000 and all(len(each) == 32 and int(each, 16) >= 0 for each in made)
