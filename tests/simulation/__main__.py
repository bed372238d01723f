"""`python -m tests.simulation`: the same command as `python -m tests.simulation.soak`."""

from __future__ import annotations

import sys

from tests.simulation.soak import main

if __name__ == "__main__":
    sys.exit(main())
