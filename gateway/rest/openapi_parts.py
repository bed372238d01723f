"""OpenAPI descriptions of the bare endpoints, which the framework cannot derive. Data only."""

from __future__ import annotations

from typing import Any

Operations = dict[tuple[str, str], dict[str, Any]]


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"200": {"description": description, "content": {"application/json": {"schema": schema}}}}


def _query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


_LEVEL = {"type": "string", "enum": ["memory", "local", "r2"]}
_OBJECT = {"type": "object", "additionalProperties": True}
_BINARY = {"type": "string", "format": "binary"}

SCHEMAS: dict[str, Any] = {
    "Id": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$"},
    "Problem": {
        "type": "object",
        "required": ["type", "title", "status", "code", "detail", "retryable", "request_id"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string", "description": "Stable, for programs."},
            "detail": {"type": "string"},
            "retryable": {"type": "boolean", "description": "Whether the same request may succeed later without harm."},
            "request_id": {"type": "string"},
            "details": _OBJECT,
        },
    },
    "Params": {
        "description": 'A list for `?` or `?1`, an object for `:name`; `{"base64": …}` is a blob.',
        "oneOf": [{"type": "array", "items": {}}, _OBJECT],
    },
    "Statement": {
        "type": "object",
        "required": ["sql"],
        "additionalProperties": False,
        "properties": {"sql": {"type": "string"}, "params": _ref("Params")},
    },
    "SqlRequest": {
        "oneOf": [
            _ref("Statement"),
            {
                "type": "object",
                "required": ["statements"],
                "additionalProperties": False,
                "properties": {"statements": {"type": "array", "items": _ref("Statement")}},
            },
        ],
        "example": {"sql": "SELECT ? AS answer", "params": [42]},
    },
    "SqlResult": {
        "type": "object",
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}},
            "rows": {"type": "array", "items": {}, "description": "Arrays, or objects with `?shape=objects`."},
            "changes": {"type": "integer"},
            "last_insert_rowid": {"type": "integer", "nullable": True},
        },
    },
    "SqlAnswer": {
        "type": "object",
        "properties": {
            "results": {"type": "array", "items": _ref("SqlResult")},
            "bookmark": {"type": "string", "nullable": True, "description": "None in r2 mode."},
            "durability": _LEVEL,
        },
    },
}

DATABASE_OPERATIONS: Operations = {
    ("POST", "sql"): {
        "summary": "Run statements",
        "description": "One transaction. With `?stream=true` the rows of a read come as JSON lines, without bound.",
        "parameters": [
            _query("shape", "How rows look.", {"type": "string", "enum": ["arrays", "objects"], "default": "arrays"}),
            _query("stream", "Rows as JSON lines.", {"type": "boolean", "default": False}),
            {
                "name": "Holdfast-Durability",
                "in": "header",
                "description": "When the write is acknowledged; the deployment's level if absent.",
                "schema": _LEVEL,
            },
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "Remembered with the write for a day: sent again, the first answer comes back.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            },
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("SqlRequest")}}},
        "responses": _json("The results, one per statement.", _ref("SqlAnswer")),
    },
    ("GET", "status"): {
        "summary": "Where the database lives and how far it is durable",
        "responses": _json("Host, epoch, committed and durable positions, size, since when.", _OBJECT),
    },
    ("GET", "durable"): {
        "summary": "Wait until a write is durable",
        "parameters": [
            {**_query("bookmark", "Of an earlier answer.", {"type": "string"}), "required": True},
            _query("level", "The level to wait for.", {**_LEVEL, "default": "r2"}),
            _query("timeout_s", "Seconds to wait at most.", {"type": "number", "default": 10}),
        ],
        "responses": _json("It is.", _OBJECT),
    },
    ("POST", "flush"): {
        "summary": "Ship everything committed to the bucket now",
        "responses": _json("Shipped.", _OBJECT),
    },
    ("GET", "export"): {
        "summary": "The database as a SQLite file",
        "description": "Consistent, without system tables, streamed.",
        "responses": {"200": {"description": "The file.", "content": {"application/vnd.sqlite3": {"schema": _BINARY}}}},
    },
    ("PUT", "import"): {
        "summary": "Load a SQLite file",
        "description": "Refused with the reason if it is not sound; on a database with content only with `replace`.",
        "parameters": [_query("replace", "Replace what is there.", {"type": "boolean", "default": False})],
        "requestBody": {"required": True, "content": {"application/vnd.sqlite3": {"schema": _BINARY}}},
        "responses": _json("Loaded.", _OBJECT),
    },
}

PLAIN_OPERATIONS: Operations = {
    ("GET", "/healthz"): {
        "summary": "The process runs",
        "security": [],
        "responses": _json("It does.", _OBJECT),
    },
    ("GET", "/readyz"): {
        "summary": "The service can serve",
        "security": [],
        "responses": _json("It can.", _OBJECT),
    },
    ("GET", "/metrics"): {
        "summary": "Prometheus metrics",
        "responses": {"200": {"description": "Samples.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
    },
}

_LINK = [
    _query("expires", "Unix seconds.", {"type": "integer"}),
    _query("signature", "Of method, key and expiry.", {"type": "string"}),
    _query("content-type", "The type that a PUT is bound to.", {"type": "string"}),
]
OBJECT_OPERATIONS: Operations = {
    ("GET", "/v1/objects/{key}"): {
        "summary": "Read an object by a presigned link",
        "security": [],
        "parameters": _LINK,
        "responses": {"200": {"description": "The object.", "content": {"*/*": {"schema": _BINARY}}}},
    },
    ("PUT", "/v1/objects/{key}"): {
        "summary": "Write an object by a presigned link",
        "security": [],
        "parameters": _LINK,
        "requestBody": {"required": True, "content": {"*/*": {"schema": _BINARY}}},
        "responses": _json("Stored: its etag and size.", _OBJECT),
    },
}
