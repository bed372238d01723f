"""`holdfast serve`: the service. Prints its address and three lines to try when it is ready.

The first SIGINT or SIGTERM drains: requests under way are answered, everything is flushed, exit code 0. The second one
ends it at once; what was acknowledged is in the journals then, and the next start reads them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal

import uvloop

from gateway.server import stop_on_signals
from holdfast.console import STORE_FLAGS, Console, add_store_arguments, flags_given
from holdfast.exit_code import ExitCode
from holdfast.logs import set_up_logs
from holdfast.serve import Service

HELP = "run the service"
FLAGS = {**STORE_FLAGS, "host": "HOLDFAST_HOST", "port": "HOLDFAST_PORT", "placement": "HOLDFAST_PLACEMENT"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1; others need HOLDFAST_TOKEN)")
    parser.add_argument("--port", help="port to listen on, 0 for a free one (default: 8700)")
    parser.add_argument("--placement", help="dedicated or shared (default: dedicated)")
    add_store_arguments(parser)


def run(console: Console, arguments: argparse.Namespace) -> int:
    settings = console.settings(flags_given(arguments, FLAGS))
    set_up_logs(console.err)
    # Until Ray runs, SIGTERM interrupts the start like Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def say(line: str) -> None:
        console.print(line)
        console.out.flush()

    service = Service(settings, say=say)
    unreleased = uvloop.run(_serve(service))
    code = ExitCode.DONE
    if service.ended_unasked:
        console.note("ray ended unasked; everything is flushed, start the service again")
        code = ExitCode.FAILED
    if unreleased:
        console.note(f"not flushed, kept in their journals for the next start: {', '.join(sorted(unreleased))}")
        code = ExitCode.FAILED
    if service.ray_ended:
        os._exit(code)
    return code


async def _serve(service: Service) -> list[str]:
    stop = asyncio.Event()
    with contextlib.ExitStack() as handlers:

        def handle_signals() -> None:
            handlers.enter_context(stop_on_signals(stop, abort=lambda: _abort(service)))

        return await service.run(stop, on_running=handle_signals)


def _abort(service: Service) -> None:
    service.abort()
    os._exit(ExitCode.INTERRUPTED)
