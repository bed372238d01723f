"""What the gateway counts, in a registry of its own, and the samples that hosts report, as one Prometheus text.

Routes are labelled by template, never by path, so that the number of series is bounded by the number of routes.
A request adds to plain numbers; they become Prometheus' families when somebody scrapes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from gateway.parts import Sample

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LATENCY_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
HOST_SAMPLES_MAX = 20_000
HOST_HELP = "Reported by hosts."
HISTOGRAM_ENDS = ("_bucket", "_sum", "_count")


class GatewayMetrics:
    """Counters of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._in_flight = Gauge("holdfast_requests_in_flight", "Requests under way.", registry=self.registry)
        self._host_metrics_up = Gauge(
            "holdfast_host_metrics_up", "Whether hosts answered when asked for their samples.", registry=self.registry
        )
        self._answers: dict[tuple[str, str, int, str], int] = {}
        self._latencies: dict[str, _Latency] = {}
        self.registry.register(_Collected(self._families))
        self.in_flight = 0

    def observe(self, *, route: str, method: str, status: int, mode: str, seconds: float) -> None:
        """Count one answered request."""
        answer = (route, method, status, mode)
        self._answers[answer] = self._answers.get(answer, 0) + 1
        latency = self._latencies.get(route)
        if latency is None:
            latency = self._latencies[route] = _Latency()
        latency.counts[bisect_left(LATENCY_BUCKETS_S, seconds)] += 1
        latency.sum_s += seconds

    def exposition(self, host_samples: Sequence[Sample] | None, own: Sequence[Sample] = ()) -> bytes:
        """The text for a scrape; `host_samples` is None when hosts did not answer, `own` are the gateway's modes."""
        self._in_flight.set(self.in_flight)
        self._host_metrics_up.set(0 if host_samples is None else 1)
        families = CollectorRegistry()
        reported = [*own, *(host_samples or ())[:HOST_SAMPLES_MAX]]
        families.register(_Collected(lambda: _reported_families(reported)))
        return generate_latest(self.registry) + generate_latest(families)

    def _families(self) -> Iterable[Metric]:
        requests = CounterMetricFamily(
            "holdfast_requests", "Requests answered.", labels=("route", "method", "status", "mode")
        )
        for (route, method, status, mode), count in self._answers.items():
            requests.add_metric((route, method, str(status), mode), count)
        latency = HistogramMetricFamily(
            "holdfast_request_seconds",
            "Time from a request's headers to the end of its answer.",
            labels=("route",),
        )
        for route, found in self._latencies.items():
            latency.add_metric((route,), found.buckets(), found.sum_s)
        return requests, latency


class _Latency:
    """Times of one route; `counts` has one entry per bucket and one for what is beyond the last."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(LATENCY_BUCKETS_S) + 1)
        self.sum_s = 0.0

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bound, as Prometheus writes it, and how many were at most that."""
        return list(zip((*map(str, LATENCY_BUCKETS_S), "+Inf"), accumulate(self.counts), strict=True))


class _Collected:
    """What a registry asks for its families."""

    def __init__(self, families: Callable[[], Iterable[Metric]]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families()


def _reported_families(samples: Sequence[Sample]) -> Iterable[Metric]:
    """Samples of one name as one family, a histogram's three as one. Label names may differ between samples; absent
    ones are left out."""
    histograms = {name.removesuffix("_bucket") for name, _, _ in samples if name.endswith("_bucket")}
    families: dict[str, Metric] = {}
    for name, labels, value in samples:
        base = next((name.removesuffix(end) for end in HISTOGRAM_ENDS if name.endswith(end)), name)
        family = families.get(base if base in histograms else name)
        if family is None:
            family = families[base if base in histograms else name] = _family(name, base, base in histograms)
        family.add_sample(name, dict(labels), value)
    return families.values()


def _family(name: str, base: str, is_histogram: bool) -> Metric:
    if is_histogram:
        return Metric(base, HOST_HELP, "histogram")
    if name.endswith("_total"):
        return CounterMetricFamily(name.removesuffix("_total"), HOST_HELP)
    return GaugeMetricFamily(name, HOST_HELP)
