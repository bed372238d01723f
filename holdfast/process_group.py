"""A process group of their own for the children that are started meanwhile.

What is sent to our whole group (by a terminal, by `timeout`, by a supervisor) then reaches us alone: Ray has to outlive
the first signal, because hosts flush through it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def children_apart() -> Iterator[None]:
    """While inside, children get another group. A session's leader cannot change groups: nothing happens then."""
    before = os.getpgrp()
    try:
        os.setpgid(0, 0)
    except PermissionError:
        yield
        return
    try:
        yield
    finally:
        # The former group may have ended meanwhile; its number then means nothing any more.
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.setpgid(0, before)
