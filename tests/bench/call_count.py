"""Counts what one stretch of work calls, by kind. Counts do not depend on how fast or how busy the machine is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import PurePath
from types import FrameType
from typing import Any


@dataclass(slots=True)
class CallCount:
    """`python`: calls of Python functions and resumptions of coroutines. `native`: calls of C functions, of which
    `sqlite` on APSW's objects and `json` to an encoder or decoder. `syncs`: of os.fdatasync."""

    python: int = 0
    native: int = 0
    sqlite: int = 0
    json: int = 0
    syncs: int = 0

    def to_json(self) -> dict[str, int]:
        return asdict(self)


@contextmanager
def counting(count: CallCount) -> Iterator[None]:
    """Count everything this thread calls inside."""

    def see(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            count.python += 1
            code = frame.f_code
            if code.co_name == "_count_only":
                count.syncs += 1
            elif PurePath(code.co_filename).parent.name == "json" and code.co_name in ("dumps", "loads"):
                count.json += 1
        elif event == "c_call":
            count.native += 1
            owner = getattr(argument, "__self__", None)
            module = type(owner).__module__ if owner is not None else ""
            if module == "apsw":
                count.sqlite += 1
            elif module.startswith("msgspec") and argument.__name__ in ("encode", "encode_into", "decode"):
                count.json += 1

    sys.setprofile(see)
    try:
        yield
    finally:
        sys.setprofile(None)
