"""`python -m bench.peers.sqlite_files FOLDER PORT`."""

import sys
from pathlib import Path

from bench.peers.python_app import build_app, serve
from bench.peers.sqlite_files.app import opened

serve(build_app(opened(Path(sys.argv[1]))), int(sys.argv[2]))
