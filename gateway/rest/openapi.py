"""The OpenAPI document: what the framework knows of its own routes, and by hand what it cannot know of the bare ones.

The version is 3.0.2, the newest one that the bundled Swagger UI shows.
"""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway.rest.openapi_parts import DATABASE_OPERATIONS, OBJECT_OPERATIONS, PLAIN_OPERATIONS, SCHEMAS
from gateway.rest.target import DATABASE_SHAPES

VERSION = "3.0.2"
DESCRIPTION = """A database per user. Every answer carries `X-Request-ID`; errors are `application/problem+json` with a
stable `code` and `retryable`. `Holdfast-Mode` says how the user is served."""


def openapi_document(application: FastAPI, *, user_header: str, guarded: bool) -> dict[str, Any]:
    """The whole document."""
    document = get_openapi(
        title=application.title,
        version=application.version,
        openapi_version=VERSION,
        description=DESCRIPTION,
        routes=application.routes,
    )
    paths = document.setdefault("paths", {})
    for (method, name), operation in DATABASE_OPERATIONS.items():
        for shape in DATABASE_SHAPES:
            _add(paths, f"{shape}/{name}", method, {"tags": ["database"], **operation})
    for table, tag in ((PLAIN_OPERATIONS, "operation"), (OBJECT_OPERATIONS, "objects")):
        for (method, path), operation in table.items():
            _add(paths, path, method, {"tags": [tag], **operation})
    document["tags"] = [{"name": name} for name in ("database", "profiles", "objects", "operation")]
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(SCHEMAS)
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    if guarded:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    for path, operations in paths.items():
        for operation in operations.values():
            _complete(path, operation, user_header)
    converted: dict[str, Any] = _as_version_3_0(document)
    return converted


def _add(paths: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> None:
    operation_id = re.sub(r"\W+", "_", f"{method.lower()}_{path}").strip("_")
    paths.setdefault(path, {})[method.lower()] = {"operationId": operation_id, **operation}


def _complete(path: str, operation: dict[str, Any], user_header: str) -> None:
    """Path parameters, the header that `me` needs, and the problem answer that every operation has."""
    parameters = list(operation.get("parameters", ()))
    known = {parameter["name"] for parameter in parameters}
    for name in re.findall(r"{(\w+)}", path):
        if name not in known:
            schema = {"type": "string"} if name == "key" else {"$ref": "#/components/schemas/Id"}
            parameters.insert(0, {"name": name, "in": "path", "required": True, "schema": schema})
    if path.startswith("/v1/me"):
        parameters.append({"name": user_header, "in": "header", "required": False, "schema": {"type": "string"}})
    if parameters:
        operation["parameters"] = parameters
    responses = {code: answer for code, answer in operation.get("responses", {}).items() if code != "422"}
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses["default"] = {"description": "A problem; its `code` says which.", "content": problem}
    operation["responses"] = responses


def _as_version_3_0(node: Any) -> Any:
    """`anyOf [X, null]` of newer schemas as `nullable`, which 3.0 has instead."""
    if isinstance(node, list):
        return [_as_version_3_0(item) for item in node]
    if not isinstance(node, dict):
        return node
    fields = {key: _as_version_3_0(value) for key, value in node.items()}
    choices = fields.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        others = [choice for choice in choices if choice != {"type": "null"}]
        del fields["anyOf"]
        fields |= {"nullable": True, **(others[0] if len(others) == 1 else {"anyOf": others})}
    return fields
