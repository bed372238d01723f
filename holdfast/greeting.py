"""What `holdfast serve` prints when it is ready: its address, and three lines to copy. Pure."""

from __future__ import annotations

import json
import shlex

from holdfast.settings import Settings

USER = "ana"


def greeting(settings: Settings, url: str) -> list[str]:
    """The first line is for programs too: `holdfast is ready on URL`."""
    return [
        f"holdfast is ready on {url}",
        f"  {_store(settings)}, environment {settings.app_env}, {settings.placement.mode} placement, "
        f"writes acknowledged at {settings.actors.durability.value!r}; API at {url}/docs",
        "",
        *curl_lines(url, guarded=settings.gateway.guarded),
        "",
        "Ctrl-C flushes everything and stops.",
    ]


def curl_lines(url: str, *, guarded: bool) -> list[str]:
    """Write, read, export: three commands that work as they stand."""
    sql = f"{url}/v1/users/{USER}/sql"
    insert = {"sql": "INSERT INTO games (name) VALUES (?)", "params": ["Season opener"]}
    select = {"sql": "SELECT id, name, created_at FROM games"}
    token = ' -H "Authorization: Bearer $HOLDFAST_TOKEN"' if guarded else ""
    kind = " -H 'content-type: application/json'"
    return [
        f"  curl -s {sql}{token}{kind} -d {shlex.quote(json.dumps(insert))}",
        f"  curl -s {sql}{token}{kind} -d {shlex.quote(json.dumps(select))}",
        f"  curl -s -o {USER}.sqlite{token} {url}/v1/users/{USER}/export",
    ]


def _store(settings: Settings) -> str:
    if settings.s3.bucket:
        return f"bucket {settings.s3.bucket} at {settings.s3.endpoint or 'AWS'}"
    return f"data in {settings.service.data_dir.resolve()}"
