"""The document and the page that shows it."""

from __future__ import annotations

import inspect
import re
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import Route

from gateway.rest.docs import ASSETS
from gateway.rest.measured import measured_routes
from gateway.rest.migrations import migration_routes
from gateway.rest.operations import operation_routes
from gateway.rest.profiles import profile_routes
from tests.gateway.kit import Bench, bench


async def document(gateway: Bench) -> dict[str, Any]:
    found: dict[str, Any] = (await gateway.client.get("/openapi.json")).json()
    return found


async def test_every_bare_route_is_described(gateway: Bench) -> None:
    paths = (await document(gateway))["paths"]
    bare = [route for route in gateway.application.routes if type(route) is Route]
    assert len(bare) >= 25
    for route in bare:
        path = route.path.replace("{key:path}", "{key}")
        for method in (route.methods or set()) - {"HEAD"}:
            assert method.lower() in paths[path], (method, path)


async def test_document_is_one_that_the_bundled_page_shows(gateway: Bench) -> None:
    """Swagger UI 4 reads OpenAPI 3.0 only, which has `nullable` and no type `null`."""
    found = await document(gateway)
    assert found["openapi"] == "3.0.2"
    assert found["components"]["schemas"]["NewProfile"]["properties"]["name"]["nullable"] is True
    assert '"null"' not in (await gateway.client.get("/openapi.json")).text


async def test_operations_are_complete(gateway: Bench) -> None:
    found = await document(gateway)
    ids = []
    for path, operations in found["paths"].items():
        for operation in operations.values():
            ids.append(operation["operationId"])
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            in_path = {item["name"] for item in operation.get("parameters", ()) if item["in"] == "path"}
            assert in_path == set(re.findall(r"{(\w+)}", path)), path
            assert operation["summary"]
    assert len(ids) == len(set(ids))


async def test_references_lead_somewhere(gateway: Bench) -> None:
    found = await document(gateway)
    text = (await gateway.client.get("/openapi.json")).text
    for name in set(re.findall(r'"#/components/schemas/(\w+)"', text)):
        assert name in found["components"]["schemas"]


async def test_me_names_the_header_of_the_settings_and_tokens_are_described() -> None:
    async with bench(user_header="X-Athlete", token="t") as gateway:
        response = await gateway.client.get("/openapi.json", headers={"Authorization": "Bearer t"})
        found = response.json()
        names = [item["name"] for item in found["paths"]["/v1/me/sql"]["post"]["parameters"]]
        assert "X-Athlete" in names
        assert found["security"] == [{"token": []}]


async def test_docs_page_asks_nobody_else(gateway: Bench) -> None:
    page = (await gateway.client.get("/docs")).text
    links = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page)
    assert sorted(links) == sorted(f"/docs/assets/{name}" for name in ASSETS)
    assert "http://" not in page
    assert "https://" not in page
    for link in links:
        response = await gateway.client.get(link)
        assert response.status_code == 200
        assert len(response.content) > 300
    assert (await gateway.client.get("/docs/assets/index.html")).status_code == 404
    assert (await gateway.client.get("/docs/assets/..%2Findex.html")).status_code == 404


def test_no_route_and_no_dependency_takes_a_thread() -> None:
    """The framework runs what is not a coroutine in its pool: a hop per request, and a bound that nobody set."""
    routers = (profile_routes(), migration_routes(), measured_routes(), operation_routes())
    waiting = [route.dependant for router in routers for route in router.routes if isinstance(route, APIRoute)]
    calls = []
    while waiting:
        dependant = waiting.pop()
        waiting.extend(dependant.dependencies)
        calls.append(dependant.call)
    assert len(calls) > 20
    assert [call for call in calls if not inspect.iscoroutinefunction(call)] == []
