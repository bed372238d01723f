"""What hosts report, added up for /metrics. A value; does no I/O.

A counter goes on where a host that ended left it: a total never falls because somebody's host was evicted, and one that
begins again at nought after a crash counts on. A host nobody heard of at this scrape keeps its counters and has no
gauges. Dedicated hosts are one group without a label, since their names are users; shared ones are told apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.parts import Sample

HOSTS_KEPT_MAX = 10_000
"""Hosts whose counters are remembered. Beyond that the one heard of longest ago is forgotten: should it be asked again,
what it had counted is added once more."""

_COUNTED = ("_total", "_bucket", "_sum", "_count")
_LONGEST = "_seconds"  # of times the longest is told, of everything else the sum

_Key = tuple[str, tuple[tuple[str, str], ...]]


class HostTotals:
    """Sums over one group of hosts."""

    def __init__(self) -> None:
        self._counted: dict[_Key, float] = {}
        self._heard: dict[str, dict[_Key, float]] = {}
        self._gauges: dict[str, dict[_Key, float]] = {}

    def take(self, host: str, samples: Iterable[Sample]) -> None:
        """What `host` says now."""
        before = self._heard.pop(host, {})
        now: dict[_Key, float] = {}
        gauges = self._gauges[host] = {}
        for name, labels, value in samples:
            key = (name, tuple(sorted(labels.items())))
            if name.endswith(_COUNTED):
                now[key] = value
                since = before.get(key, 0.0)
                added = value - since if value >= since else value  # it began again
                self._counted[key] = self._counted.get(key, 0.0) + added
            else:
                gauges[key] = value
        self._heard[host] = now
        if len(self._heard) > HOSTS_KEPT_MAX:
            self.forget(next(iter(self._heard)))

    def lose(self, host: str) -> None:
        """`host` does not answer: its gauges are over, its counters are remembered."""
        self._gauges.pop(host, None)

    def forget(self, host: str) -> None:
        """Nothing of `host` is remembered but what it added to the totals."""
        self._heard.pop(host, None)
        self._gauges.pop(host, None)

    def samples(self, *, group: str = "") -> list[Sample]:
        """The sums, labelled with `group` unless that is empty."""
        merged: dict[_Key, float] = {}
        for gauges in self._gauges.values():
            for key, value in gauges.items():
                merge = max if key[0].endswith(_LONGEST) else _plus
                merged[key] = merge(merged[key], value) if key in merged else value
        label = (("host", group),) if group else ()
        return [(name, dict(labels + label), value) for (name, labels), value in (self._counted | merged).items()]


def in_turn(names: Sequence[str], after: str, count: int) -> list[str]:
    """At most `count` of the sorted `names`, beginning behind `after` and going round: everybody's turn comes."""
    behind = [name for name in names if name > after]
    return (behind + [name for name in names if name <= after])[:count]


def _plus(one: float, other: float) -> float:
    return one + other
