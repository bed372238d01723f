"""What a scrape sees."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from prometheus_client.parser import text_string_to_metric_families

from actors.errors import HostUnavailable
from gateway.metrics import GatewayMetrics
from gateway.parts import Sample
from tests.gateway.kit import Bench, bench


async def scrape(gateway: Bench) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = (await gateway.client.get("/metrics")).text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_requests_are_counted_by_template_method_status_and_mode(gateway: Bench) -> None:
    for user in ("alice", "bob", "carol"):
        await gateway.client.post(f"/v1/users/{user}/sql", content=b"{}")
    await gateway.client.get("/v1/users/alice/profiles")
    await gateway.client.get("/made/up/path")
    await gateway.client.get("/another/one")
    samples = await scrape(gateway)
    counted = {
        (dict(labels)["route"], dict(labels)["method"], dict(labels)["status"], dict(labels)["mode"]): value
        for (name, labels), value in samples.items()
        if name == "holdfast_requests_total"
    }
    assert counted == {
        ("/v1/users/{user}/sql", "POST", "200", "actor"): 3,
        ("/v1/users/{user}/profiles", "GET", "200", ""): 1,
        ("unmatched", "GET", "404", ""): 2,
    }
    assert samples["holdfast_request_seconds_count", (("route", "/v1/users/{user}/sql"),)] == 3
    assert samples["holdfast_requests_in_flight", ()] == 1


async def test_unknown_methods_do_not_make_series(gateway: Bench) -> None:
    for method in ("BREW", "FROBNICATE"):
        await gateway.client.request(method, "/v1/users/alice/sql")
    labels = [dict(labels) for (name, labels) in await scrape(gateway) if name == "holdfast_requests_total"]
    assert {label["method"] for label in labels} == {"other"}


async def test_samples_of_hosts_are_merged() -> None:
    async def host_metrics() -> Sequence[Sample]:
        return [
            ("holdfast_fences_total", {"host": "h1"}, 2.0),
            ("holdfast_fences_total", {"host": "h2"}, 3.0),
            ("holdfast_activations", {"host": 'h"1'}, 7.0),
        ]

    async with bench(host_metrics=host_metrics) as gateway:
        samples = await scrape(gateway)
    assert samples["holdfast_fences_total", (("host", "h2"),)] == 3
    assert samples["holdfast_activations", (("host", 'h"1'),)] == 7
    assert samples["holdfast_host_metrics_up", ()] == 1


async def test_the_histogram_of_hosts_is_one() -> None:
    async def host_metrics() -> Sequence[Sample]:
        return [
            ("holdfast_gate_wait_seconds_bucket", {"le": "1"}, 2.0),
            ("holdfast_gate_wait_seconds_bucket", {"le": "+Inf"}, 3.0),
            ("holdfast_gate_wait_seconds_sum", {}, 1.5),
            ("holdfast_gate_wait_seconds_count", {}, 3.0),
        ]

    async with bench(host_metrics=host_metrics) as gateway:
        text = (await gateway.client.get("/metrics")).text
    family = next(each for each in text_string_to_metric_families(text) if each.name == "holdfast_gate_wait_seconds")
    assert (family.type, len(family.samples)) == ("histogram", 4)


async def test_scrape_survives_hosts_that_do_not_answer() -> None:
    async def refuses() -> Sequence[Sample]:
        raise HostUnavailable("down")

    async def hangs() -> Sequence[Sample]:
        await asyncio.Event().wait()
        return ()

    for host_metrics in (refuses, hangs):
        async with bench(host_metrics=host_metrics, host_metrics_timeout_s=0.01) as gateway:
            assert (await scrape(gateway))["holdfast_host_metrics_up", ()] == 0


async def test_two_applications_count_apart(gateway: Bench) -> None:
    async with bench() as other:
        await other.client.get("/healthz")
        assert "holdfast_requests_total" in {name for name, _ in await scrape(other)}
        assert "holdfast_requests_total" not in {name for name, _ in await scrape(gateway)}


def test_latencies_are_counted_in_the_first_bucket_that_holds_them() -> None:
    metrics = GatewayMetrics()
    for seconds in (0.0005, 0.0006, 31.0):
        metrics.observe(route="r", method="GET", status=200, mode="", seconds=seconds)
    found = {
        (sample.name, sample.labels.get("le")): sample.value
        for family in text_string_to_metric_families(metrics.exposition(None).decode())
        for sample in family.samples
    }
    bucket, total = "holdfast_request_seconds_bucket", "holdfast_request_seconds_count"
    assert [found[bucket, le] for le in ("0.0005", "0.001", "30.0", "+Inf")] == [1, 2, 2, 3]
    assert found[total, None] == 3
    assert found["holdfast_request_seconds_sum", None] == pytest.approx(31.0011)
