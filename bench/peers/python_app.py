"""What the Python peers share: one FastAPI application with the same request and answer, served by uvicorn.

Each peer gives `run`: a user and a list of statements in, results out, all of them in one transaction. Bodies are
decoded and encoded by msgspec without models, and uvicorn runs on uvloop and httptools without its access log: what a
careful author would do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec
import uvicorn
from fastapi import FastAPI, Request, Response

Step = tuple[str, Sequence[Any]]
Run = Callable[[str, list[Step]], Awaitable[list[dict[str, Any]]]]
_decode, _encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode


def build_app(opened: Callable[[], AbstractAsyncContextManager[Run]]) -> FastAPI:
    """The application; `opened` lives as long as it does."""
    state: dict[str, Run] = {}

    @asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[None]:
        async with opened() as run:
            state["run"] = run
            yield

    application = FastAPI(lifespan=lifespan)

    @application.post("/v1/users/{user}/sql")
    async def sql(user: str, request: Request) -> Response:
        body = _decode(await request.body())
        steps = [(one["sql"], one.get("params", ())) for one in body.get("statements", (body,))]
        return Response(_encode({"results": await state["run"](user, steps)}), media_type="application/json")

    return application


def serve(application: FastAPI, port: int) -> None:
    """Until the process is ended."""
    config = uvicorn.Config(
        application, host="127.0.0.1", port=port, loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )
    uvicorn.Server(config).run()
