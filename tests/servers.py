"""S3 servers on loopback for tests: SeaweedFS (the main one) and moto's, each a process of its own.

Use the session fixtures `seaweedfs` and `moto` (every test folder sees them through tests/conftest.py) and take a fresh
bucket per test with `server.new_bucket()`; a server started by hand comes from the context managers `seaweedfs_server`
and `moto_server`. Both servers die with the process that started them, even when that one is killed. Nothing here is
shared between tests but the process: buckets are never reused.
"""

from __future__ import annotations

import ctypes
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

START_TIMEOUT_S = 60.0
START_ATTEMPTS_MAX = 3
REGION = "us-east-1"
ACCESS_KEY = "holdfast"
SECRET_KEY = "holdfast-secret"
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None)


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running S3 endpoint and the credentials that may do everything on it."""

    name: str
    endpoint: str
    region: str = REGION
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY

    def session(self) -> Any:
        """A boto3 session with this server's credentials."""
        return boto3.Session(
            aws_access_key_id=self.access_key, aws_secret_access_key=self.secret_key, region_name=self.region
        )

    def client(self) -> Any:
        """A plain boto3 client, for setting up and looking behind the back of the code under test."""
        return self.session().client("s3", endpoint_url=self.endpoint, config=_CLIENT_CONFIG)

    def new_bucket(self) -> str:
        """The name of a bucket nobody else uses, created."""
        bucket = f"t-{uuid.uuid4().hex[:20]}"
        client = self.client()
        try:
            client.create_bucket(Bucket=bucket)
        finally:
            client.close()
        return bucket

    def environment(self) -> Mapping[str, str]:
        """What a program that follows the AWS conventions (the Litestream command, say) needs to sign requests."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }


_CLIENT_CONFIG = Config(
    signature_version="s3v4",
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    s3={"addressing_style": "path"},
    retries={"mode": "standard", "total_max_attempts": 1},
    connect_timeout=3,
    read_timeout=30,
)


@pytest.fixture(scope="session")
def seaweedfs() -> Iterator[S3Server]:
    """SeaweedFS with its S3 gateway, started once per test run (about 4 s)."""
    with seaweedfs_server() as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    """Moto's server, started once per test run (about 2 s)."""
    with moto_server() as server:
        yield server


@contextmanager
def seaweedfs_server() -> Iterator[S3Server]:
    """Run `weed server` with one volume server, a filer and the S3 gateway on free loopback ports."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-weed-"))
    (folder / "data").mkdir()
    (folder / "s3.json").write_text(json.dumps(_SEAWEEDFS_IDENTITIES))
    (folder / "master.toml").write_text("[master.volume_growth]\ncopy_1 = 1\n")  # every bucket takes its own volumes
    try:
        with _started("seaweedfs", folder, 8, _seaweedfs_command, _seaweedfs_ready) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def moto_server() -> Iterator[S3Server]:
    """Run moto's stand-alone server on a free loopback port. It forgets everything when it ends."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-moto-"))
    try:
        with _started("moto", folder, 1, _moto_command, _moto_ready) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Loopback ports free at the moment of asking; whoever binds one must be ready to find it taken."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for candidate in sockets:
            candidate.bind(("127.0.0.1", 0))
        return [candidate.getsockname()[1] for candidate in sockets]
    finally:
        for candidate in sockets:
            candidate.close()


def end_with_parent() -> None:
    """For `subprocess.Popen(preexec_fn=...)`: the kernel kills the child when the thread that started it ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


_SEAWEEDFS_IDENTITIES = {
    "identities": [
        {
            "name": "tests",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
    ]
}


def _seaweedfs_command(folder: Path, ports: list[int]) -> list[str]:
    master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3, s3_grpc = (str(port) for port in ports)
    options = {
        "dir": str(folder / "data"),
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.port": master,
        "master.port.grpc": master_grpc,
        "master.telemetry": "false",
        "master.electionTimeout": "1s",
        "master.heartbeatInterval": "100ms",
        "master.volumeSizeLimitMB": "64",
        "volume.port": volume,
        "volume.port.grpc": volume_grpc,
        "volume.max": "1000",
        "volume.preStopSeconds": "0",
        "filer": "true",
        "filer.port": filer,
        "filer.port.grpc": filer_grpc,
        "filer.localSocket": str(folder / "filer.sock"),
        "s3": "true",
        "s3.port": s3,
        "s3.port.grpc": s3_grpc,
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
        "s3.cacheCapacityMB": "0",
        "s3.config": str(folder / "s3.json"),
        "s3.localSocket": str(folder / "s3.sock"),
    }
    return [_program("weed"), "-v=0", "server", *(f"-{name}={value}" for name, value in options.items())]


def _seaweedfs_ready(ports: list[int]) -> S3Server | None:
    """Ready when an object has been written: the gateway listens before the volumes can take data."""
    server = S3Server("seaweedfs", f"http://127.0.0.1:{ports[6]}")
    if not _answers(server.endpoint):
        return None
    client = server.client()
    try:
        client.create_bucket(Bucket="ready")
        client.put_object(Bucket="ready", Key="ready", Body=b"ready")
    except Exception:
        return None
    finally:
        client.close()
    return server


def _moto_command(_folder: Path, ports: list[int]) -> list[str]:
    return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(ports[0])]


def _moto_ready(ports: list[int]) -> S3Server | None:
    server = S3Server("moto", f"http://127.0.0.1:{ports[0]}")
    return server if _answers(server.endpoint) else None


def _program(name: str) -> str:
    """A program installed beside this Python, or on the path."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is not installed: expected it at {beside} (install the dev extras)")
    return found


def _answers(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=1):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False


@contextmanager
def _started(name: str, folder: Path, port_count: int, command: Any, ready: Any) -> Iterator[S3Server]:
    """Start, wait until ready, yield, kill. A port that another process took meanwhile costs one more attempt."""
    log_path = folder / "server.log"
    for _attempt in range(START_ATTEMPTS_MAX):
        ports = free_ports(port_count)
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                command(folder, ports),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                preexec_fn=end_with_parent,
            )
        try:
            server = _wait_until_ready(process, ports, ready)
            if server is not None:
                yield server
                return
        finally:
            process.kill()
            process.wait()
            _remove_sockets(ports)
    raise RuntimeError(f"{name} did not start:\n{log_path.read_text(errors='replace')[-2000:]}")


def _wait_until_ready(process: subprocess.Popen[bytes], ports: list[int], ready: Any) -> S3Server | None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        server: S3Server | None = ready(ports)
        if server is not None:
            return server
        time.sleep(0.05)
    return None


def _remove_sockets(ports: list[int]) -> None:
    """SeaweedFS leaves Unix sockets named by port in /tmp when it is killed."""
    for port in ports:
        for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
            path.unlink(missing_ok=True)
