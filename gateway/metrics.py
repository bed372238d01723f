"""What the gateway counts, in a registry of its own, and the samples that hosts report, as one Prometheus text.

Routes are labelled by template, never by path, so that the number of series is bounded by the number of routes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

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
        self._requests = Counter(
            "holdfast_requests",
            "Requests answered.",
            ("route", "method", "status", "mode"),
            registry=self.registry,
        )
        self._latency = Histogram(
            "holdfast_request_seconds",
            "Time from a request's headers to the end of its answer.",
            ("route",),
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self._in_flight = Gauge("holdfast_requests_in_flight", "Requests under way.", registry=self.registry)
        self._host_metrics_up = Gauge(
            "holdfast_host_metrics_up", "Whether hosts answered when asked for their samples.", registry=self.registry
        )
        self._by_answer: dict[tuple[str, str, int, str], Counter] = {}
        self._by_route: dict[str, Histogram] = {}
        self.in_flight = 0

    def observe(self, *, route: str, method: str, status: int, mode: str, seconds: float) -> None:
        """Count one answered request."""
        answer = (route, method, status, mode)
        counter = self._by_answer.get(answer)
        if counter is None:
            counter = self._by_answer[answer] = self._requests.labels(route, method, str(status), mode)
        counter.inc()
        histogram = self._by_route.get(route)
        if histogram is None:
            histogram = self._by_route[route] = self._latency.labels(route)
        histogram.observe(seconds)

    def exposition(self, host_samples: Sequence[Sample] | None, own: Sequence[Sample] = ()) -> bytes:
        """The text for a scrape; `host_samples` is None when hosts did not answer, `own` are the gateway's modes."""
        self._in_flight.set(self.in_flight)
        self._host_metrics_up.set(0 if host_samples is None else 1)
        families = CollectorRegistry()
        families.register(_Families(_families([*own, *(host_samples or ())[:HOST_SAMPLES_MAX]])))
        return generate_latest(self.registry) + generate_latest(families)


class _Families:
    def __init__(self, families: Iterable[Metric]) -> None:
        self._collected = list(families)

    def collect(self) -> list[Metric]:
        return self._collected


def _families(samples: Sequence[Sample]) -> Iterable[Metric]:
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
