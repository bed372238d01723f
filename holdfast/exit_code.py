"""What the program's exit codes mean, and which error leads to which. Pure.

docs/cli.md and `holdfast --help` show the same list, from here.
"""

from __future__ import annotations

from enum import IntEnum

from storage.errors import CorruptObject, HoldfastError, InvalidRequest, LogGap, UnsupportedVersion


class Busy(HoldfastError):
    """Somebody else holds what this process needs: the data directory, the port."""

    code = "busy"


class ServiceUnreachable(HoldfastError):
    """No service answers at the address."""

    code = "service_unreachable"
    retryable = True


class ExitCode(IntEnum):
    """See MEANINGS."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    RETRY = 3
    DAMAGED = 4
    BUSY = 5
    WOULD_CHANGE = 6
    PAUSED = 7
    INTERRUPTED = 130


MEANINGS = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "refused or failed; the line on stderr says why",
    ExitCode.USAGE: "wrong usage or a wrong setting",
    ExitCode.RETRY: "service or bucket out of reach or overloaded: the same command may succeed later",
    ExitCode.DAMAGED: "stored data is damaged, incomplete, or written by a newer version",
    ExitCode.BUSY: "another process holds the data directory or the port",
    ExitCode.WOULD_CHANGE: "dry run: there is something to do, --execute does it",
    ExitCode.PAUSED: "migrations are paused: some users were not begun",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C)",
}

_BUSY_CODES = frozenset({Busy.code, "address_in_use"})
_DAMAGED_CODES = frozenset({CorruptObject.code, "corrupt_segment", LogGap.code, UnsupportedVersion.code})


def exit_code_for(error: HoldfastError) -> ExitCode:
    """The code for an error, ours or one that the service answered with."""
    if error.code in _BUSY_CODES:
        return ExitCode.BUSY
    if isinstance(error, InvalidRequest):
        return ExitCode.USAGE
    if error.code in _DAMAGED_CODES:
        return ExitCode.DAMAGED
    return ExitCode.RETRY if error.retryable else ExitCode.FAILED


def exit_code_lines() -> list[str]:
    """One line per code, for --help."""
    return [f"  {code.value:<4}{meaning}" for code, meaning in MEANINGS.items()]
