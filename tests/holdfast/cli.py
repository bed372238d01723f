"""Run a command of the program in process, against a service that a function plays."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx

from holdfast.__main__ import run
from holdfast.console import Console

Handler = Callable[[httpx.Request], httpx.Response]


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str
    requests: list[httpx.Request] = field(default_factory=list)


def holdfast(
    *arguments: str, service: Handler | None = None, environ: Mapping[str, str] | None = None, typed: str = ""
) -> Outcome:
    """Exit code, output and the requests that reached the service."""
    out, err = io.StringIO(), io.StringIO()
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        requests.append(request)
        if service is None:
            raise httpx.ConnectError("refused", request=request)
        return service(request)

    keyboard = io.StringIO(typed)
    console = Console(dict(environ or {}), out, err, lambda: 0.0, httpx.MockTransport(answer), keyboard.readline)
    return Outcome(run(console, arguments), out.getvalue(), err.getvalue(), requests)


def answers(status: int = 200, **kind: object) -> Handler:
    """A service that gives the same answer to everything: `json=`, `content=`."""
    return lambda request: httpx.Response(status, **kind)  # type: ignore[arg-type]
