"""Where a host listens, as it says itself: plain values that travel through Ray and into status answers. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One life of a host. `life_id` is new at every start; `unix_path` is of use on `machine` only; "" and 0: none."""

    host: str
    life_id: str
    machine: str
    pid: int
    unix_path: str = ""
    tcp_host: str = ""
    tcp_port: int = 0

    def to_dict(self) -> dict[str, object]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.host} (process {self.pid}, {self.unix_path or f'{self.tcp_host}:{self.tcp_port}'})"
