"""The servers that other tests lean on do run, take data, and keep buckets apart."""

from __future__ import annotations

import pytest

from tests.servers import S3Server, free_ports

pytestmark = pytest.mark.system


def test_seaweedfs_takes_and_returns_an_object(seaweedfs: S3Server) -> None:
    _takes_and_returns_an_object(seaweedfs)


def test_moto_takes_and_returns_an_object(moto: S3Server) -> None:
    _takes_and_returns_an_object(moto)


def test_free_ports_differ() -> None:
    assert len(set(free_ports(8))) == 8


def _takes_and_returns_an_object(server: S3Server) -> None:
    one, other = server.new_bucket(), server.new_bucket()
    client = server.client()
    client.put_object(Bucket=one, Key="a/b", Body=b"body", Metadata={"k": "v"})
    answer = client.get_object(Bucket=one, Key="a/b")
    assert (answer["Body"].read(), answer["Metadata"]) == (b"body", {"k": "v"})
    assert client.list_objects_v2(Bucket=other)["KeyCount"] == 0
    client.close()
