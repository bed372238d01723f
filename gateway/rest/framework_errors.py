"""What the framework itself refuses (no route, wrong method, a body that does not fit its model), as our own errors."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.context import context_of
from gateway.problems import Problem, problem, problem_of
from storage.errors import HoldfastError

ERRORS_SHOWN_MAX = 10
_CODES = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid_request",
}


def install_framework_errors(application: FastAPI) -> None:
    """Answer every error that a route or the framework raises with problem+json."""
    application.add_exception_handler(HoldfastError, _own)
    application.add_exception_handler(HTTPException, _http)
    application.add_exception_handler(RequestValidationError, _validation)


async def _own(request: Request, error: Exception) -> Response:
    assert isinstance(error, HoldfastError)
    context = context_of(request.scope)
    context.code = error.code
    return _response(problem_of(error, context.request_id))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, HoldfastError):  # raised by our own `receive`, wrapped by the body's parser
        return await _own(request, error.__cause__)
    context = context_of(request.scope)
    context.code = code = _CODES.get(error.status_code, "invalid_request" if error.status_code < 500 else "internal")
    detail = f"{request.method} {request.url.path[:200]}: {error.detail}"
    response = _response(problem(code, detail, context.request_id))
    if error.headers and "Allow" in error.headers:
        response.headers["allow"] = error.headers["Allow"]
    return response


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    context = context_of(request.scope)
    context.code = "invalid_request"
    found = [
        {"where": ".".join(str(part) for part in item["loc"]), "what": item["msg"]}
        for item in error.errors()[:ERRORS_SHOWN_MAX]
    ]
    detail = "; ".join(f"{item['where']}: {item['what']}" for item in found)
    return _response(problem("invalid_request", detail, context.request_id, details={"errors": found}))


def _response(answer: Problem) -> Response:
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    return Response(answer.body, status_code=answer.status, headers=headers)
