"""`python -m bench.peers.naive_r2 FOLDER DELAY_MS PORT`."""

import sys
from pathlib import Path

from bench.peers.naive_r2.app import opened
from bench.peers.python_app import build_app, serve

serve(build_app(opened(Path(sys.argv[1]), float(sys.argv[2]) / 1000)), int(sys.argv[3]))
