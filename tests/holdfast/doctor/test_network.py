"""Checks of the address to listen on."""

from __future__ import annotations

import socket

import pytest

from holdfast.doctor.network import check_port, check_token
from holdfast.settings import load_settings


@pytest.mark.parametrize(
    ("environ", "holds"),
    [
        ({}, True),
        ({"HOLDFAST_HOST": "0.0.0.0"}, False),
        ({"HOLDFAST_HOST": "0.0.0.0", "HOLDFAST_TOKEN": "t"}, True),
        ({"HOLDFAST_HOST": "::1"}, True),
    ],
)
def test_only_loopback_goes_without_a_token(environ: dict[str, str], holds: bool) -> None:
    assert check_token(load_settings(environ)).holds is holds


def test_a_taken_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        finding = check_port(load_settings({"HOLDFAST_PORT": port}))
    assert not finding.holds
    assert port in finding.text
    assert check_port(load_settings({"HOLDFAST_PORT": "0"})).holds
