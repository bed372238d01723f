"""`holdfast doctor`: every precondition of the service, one line each. Exit code 1 when one does not hold."""

from __future__ import annotations

import argparse
import asyncio

from holdfast.console import Console, add_store_arguments, flags_given
from holdfast.doctor.bucket import check_bucket
from holdfast.doctor.check import Finding, summary
from holdfast.doctor.cluster import check_ray
from holdfast.doctor.disk import check_flock, check_lock, check_room, check_writable
from holdfast.doctor.machine import check_clock, check_packages, check_python
from holdfast.doctor.network import check_port, check_token
from holdfast.exit_code import ExitCode
from holdfast.settings import Settings

HELP = "check every precondition, one line each"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_store_arguments(parser)


def run(console: Console, arguments: argparse.Namespace) -> int:
    settings = console.settings(flags_given(arguments))
    findings: list[Finding] = []
    for part in (machine, disk, network, bucket, ray):
        for finding in part(settings):
            console.print(finding.line())
            findings.append(finding)
    console.print(summary(findings))
    return ExitCode.DONE if all(finding.holds for finding in findings) else ExitCode.FAILED


def machine(settings: Settings) -> list[Finding]:
    return [check_python(), check_packages(), check_clock()]


def disk(settings: Settings) -> list[Finding]:
    local_dir = settings.service.local_dir
    return [check(local_dir) for check in (check_writable, check_room, check_flock, check_lock)]


def network(settings: Settings) -> list[Finding]:
    return [check_token(settings), check_port(settings)]


def ray(settings: Settings) -> list[Finding]:
    return [check_ray()]


def bucket(settings: Settings) -> list[Finding]:
    return asyncio.run(check_bucket(settings))
