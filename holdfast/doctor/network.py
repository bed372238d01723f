"""Checks of the address to listen on: allowed without a token, free."""

from __future__ import annotations

from gateway.auth import check_bind
from gateway.server import listen
from holdfast.doctor.check import Finding
from holdfast.settings import Settings
from storage.errors import HoldfastError


def check_token(settings: Settings) -> Finding:
    """Without a token only loopback is served."""
    guarded = settings.gateway.guarded
    try:
        check_bind(settings.service.host, guarded=guarded)
    except HoldfastError as error:
        return Finding("token", False, error.message)
    text = "a token guards everything" if guarded else f"no token is set, and {settings.service.host} is loopback"
    return Finding("token", True, text)


def check_port(settings: Settings) -> Finding:
    """Whether the service could listen there now."""
    host, port = settings.service.host, settings.service.port
    try:
        listen(host, port, guarded=True).close()
    except HoldfastError as error:
        return Finding("port", False, error.message)
    return Finding("port", True, f"{host}:{port} is free")
