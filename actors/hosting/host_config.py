"""What a host is started with: plain values that travel through Ray. A host process reads no environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, cast

import msgspec

from actors.errors import ActorError
from actors.hosting.live import ActivationSource
from actors.hosting.placement import dedicated_host, host_of
from actors.hosting.settings import HostSettings, PlacementSettings
from storage.layout.address import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    """One host. `source` names the function ("package.module:function") that makes an ActivationSource of
    `source_config` in the host's process. `socket_folder` has to be short (a socket path holds 107 bytes). `address`:
    the one a dedicated host serves. `machine` is the identity of the journals' disk. `logs` names the function that is
    told, first of all, the socket folder and the host's name, and takes care of what the process logs."""

    secret: bytes
    machine: str
    source: str
    socket_folder: str
    run_folder: str
    source_config: Mapping[str, Any] = field(default_factory=dict)
    settings: HostSettings = field(default_factory=HostSettings)
    tcp_host: str = "127.0.0.1"
    name: str = ""
    address: Address | None = None
    logs: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPlan:
    """How every host of a service is made: where addresses belong, and what hosts have in common."""

    placement: PlacementSettings
    config: HostConfig

    def name_of(self, address: Address) -> str:
        return host_of(address, self.placement)

    def config_of(self, name: str, address: Address) -> HostConfig:
        """The configuration of the host `name`, needed for `address`."""
        return replace(self.config, name=name, address=address if name == dedicated_host(address) else None)

    def to_json(self) -> bytes:
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, text: bytes) -> HostPlan:
        return msgspec.json.decode(text, type=cls)


def open_source(config: HostConfig) -> ActivationSource:
    """Call what `config.source` names. Raises ActorError when there is no such function."""
    opened = cast(Callable[[Mapping[str, Any]], ActivationSource], _named(config.source, "source"))
    return opened({**config.source_config, "host": config.name})


def set_up_logs(config: HostConfig) -> None:
    """Call what `config.logs` names, if anything. Raises ActorError when there is no such function."""
    if config.logs:
        cast(Callable[[str, str], None], _named(config.logs, "logs"))(config.socket_folder, config.name)


def _named(path: str, what: str) -> object:
    """What "package.module:name" names."""
    module, _, name = path.partition(":")
    try:
        found: object = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ActorError(f"host {what} {path!r} cannot be loaded: {error}") from error
    return found
