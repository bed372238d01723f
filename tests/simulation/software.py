"""The real activation as a simulated host runs it: every part of it, on simulated ports."""

from __future__ import annotations

import random

from actors.activation import Activation, activate
from actors.durability.agent import addresses_with_journals, journal_name, settle_journal
from actors.durability.group_commit import GroupCommit
from actors.durability.journal import file_names, join_runs
from actors.durability.journal_record import decode_records
from actors.durability.offload import inline
from actors.durability.parts import Parts
from actors.durability.rules import Rules
from storage.layout.address import Address
from tests.simulation.host import Activated
from tests.simulation.machine import Machine
from tests.simulation.process import Process
from tests.simulation.scenario import Scenario
from tests.simulation.world import MakeSoftware, Run, World, run

ENV = "dev"
CORRECT = Rules()


class RealSoftware:
    """What `actors.hosting` would give an activation, in one simulated process."""

    def __init__(self, world: World, machine: Machine, process: Process, rules: Rules) -> None:
        clock = world.cluster.clock_of(machine, process)
        rng = random.Random(world.rng.getrandbits(64))
        self._parts = Parts(
            store=world.store_of(machine, process),
            disk=world.cluster.disk_of(machine, process),
            clock=clock,
            rng=rng,
            env=ENV,
            settings=world.scenario.settings_with(rng.choice(world.scenario.profile.ttls)),
            group_commit=GroupCommit(clock),
            offload=inline,
            rules=rules,
            host=process.name,
        )

    async def activate(self, address: str) -> Activation:
        return await activate(_parsed(address), self._parts)

    async def tend(self, address: str) -> None:
        """Rule 6, for a journal that nobody owns."""
        if _parsed(address) in addresses_with_journals(self._parts.disk):
            await settle_journal(self._parts, _parsed(address))

    def pages(self, activation: Activated) -> dict[int, bytes] | None:
        assert isinstance(activation, Activation)
        image = activation.committed_image()
        return dict(enumerate(image.pages, start=1)) if image is not None else None


def software(rules: Rules = CORRECT) -> MakeSoftware:
    """Hosts that run the real code under these rules."""

    def make(world: World, machine: Machine, process: Process) -> RealSoftware:
        world.journal_reader = journal_commit
        return RealSoftware(world, machine, process, rules)

    return make


def journal_commit(machine: Machine, address: str, above: int) -> int:
    """Last commit that a restart of the machine would find, following `above` without a gap."""
    runs = []
    for name in file_names(journal_name(_parsed(address))):
        state = machine.disk.files.get(name)
        if state is not None:
            runs.append(list(decode_records(bytes(state.durable))))
    contents = join_runs([found for found in runs if found])
    records = contents.above(above) if contents is not None else ()
    return records[-1].number if records else 0


def simulate(scenario: Scenario, rules: Rules = CORRECT, *, tell: bool = False) -> Run:
    """One seed of the real code."""
    return run(scenario, software(rules), tell=tell)


def _parsed(address: str) -> Address:
    user, _, profile = address.partition("/")
    return Address(user, profile)
