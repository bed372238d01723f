"""`python -m bench.peers.postgres FOLDER POSTGRES_PORT PORT`; FOLDER holds PostgreSQL's socket."""

import sys

from bench.peers.postgres.app import opened
from bench.peers.python_app import build_app, serve

serve(build_app(opened(sys.argv[1], int(sys.argv[2]))), int(sys.argv[3]))
