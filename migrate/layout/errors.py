"""Why a layout move stops.

HoldfastError
├── LayoutConflict    both places hold something of their own: nothing was overwritten, a person decides
├── WrongState        the step does not fit how far the unit has moved
└── StillChanging     somebody writes to the old place faster than it can be copied
"""

from __future__ import annotations

from storage.errors import HoldfastError


class LayoutConflict(HoldfastError):
    code = "layout_conflict"


class WrongState(HoldfastError):
    code = "layout_wrong_state"


class StillChanging(HoldfastError):
    code = "layout_still_changing"
    retryable = True
