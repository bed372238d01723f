"""Fixtures that every test folder sees: the S3 servers of tests/servers.py, started on first use, once per run."""

from __future__ import annotations

from tests.servers import moto, seaweedfs

__all__ = ["moto", "seaweedfs"]
