"""Who may speak on a link: both sides prove the secret, versions are agreed on, nothing recorded is of use."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from actors.hosting.errors import LinkRefused, MalformedFrame
from actors.hosting.frame import AUTH, HELLO, Frame, FrameDecoder, GoAwayHead, encode_frame, encode_goaway
from actors.hosting.handshake import ClientHandshake, HostHandshake
from storage.errors import UnsupportedVersion

SECRET = b"secret of thirty-two bytes length"


def frames(data: bytes) -> Sequence[Frame]:
    return FrameDecoder().feed(data)


def shake(client: ClientHandshake, host: HostHandshake) -> None:
    to_host = client.start()
    while to_host:
        to_client = b"".join(host.receive(frame) for frame in frames(to_host))
        to_host = b"".join(client.receive(frame) for frame in frames(to_client))


def a_client(secret: bytes = SECRET, lowest: int = 1, highest: int = 1) -> ClientHandshake:
    return ClientHandshake(secret, b"c" * 32, lowest=lowest, highest=highest)


def a_host(secret: bytes = SECRET, lowest: int = 1, highest: int = 1) -> HostHandshake:
    return HostHandshake(secret, b"h" * 32, lowest=lowest, highest=highest)


def test_the_same_secret_opens_the_link_on_both_sides() -> None:
    client, host = a_client(), a_host()
    shake(client, host)
    assert client.done and host.done


def test_a_client_with_another_secret_is_refused_and_learns_no_proof() -> None:
    client, host = a_client(b"another secret of enough length"), a_host()
    with pytest.raises(LinkRefused, match="the client does not know"):
        shake(client, host)
    assert not host.done


def test_a_host_with_another_secret_is_refused() -> None:
    client = a_client()
    client.receive(frames(a_host().receive(frames(client.start())[0]))[0])
    with pytest.raises(LinkRefused, match="the host does not know"):
        client.receive(Frame(AUTH, 0, 0, b"\0" * 32))
    assert not client.done


def test_a_recorded_proof_does_not_open_another_link() -> None:
    client, host = a_client(), a_host()
    hello = client.start()
    proof = client.receive(frames(host.receive(frames(hello)[0]))[0])
    later = HostHandshake(SECRET, b"i" * 32)
    later.receive(frames(hello)[0])
    with pytest.raises(LinkRefused):
        later.receive(frames(proof)[0])


def test_a_client_cannot_be_answered_with_its_own_proof() -> None:
    client, host = a_client(), a_host()
    proof = client.receive(frames(host.receive(frames(client.start())[0]))[0])
    with pytest.raises(LinkRefused):
        client.receive(frames(proof)[0])


def test_the_highest_common_version_is_chosen() -> None:
    client, host = a_client(lowest=1, highest=3), a_host(lowest=1, highest=2)
    hello = frames(host.receive(frames(client.start())[0]))[0]
    assert hello.payload[4] == 2
    client.receive(hello)


def test_only_newer_or_only_older_versions_are_refused_by_name() -> None:
    for lowest, highest in ((2, 3), (0, 0)):
        with pytest.raises(UnsupportedVersion, match=f"{lowest} to {highest} offered, this host speaks 1 to 1"):
            a_host().receive(frames(a_client(lowest=lowest, highest=highest).start())[0])


def test_a_version_changed_on_the_way_is_found_out() -> None:
    client, host = a_client(lowest=1, highest=2), a_host(lowest=1, highest=2)
    (hello,) = frames(client.start())
    downgraded = Frame(HELLO, 0, 0, hello.payload[:5] + b"\x01" + hello.payload[6:])
    proof = client.receive(frames(host.receive(downgraded))[0])
    with pytest.raises(LinkRefused):
        host.receive(frames(proof)[0])


def test_a_refusal_reaches_the_client_as_its_reason() -> None:
    with pytest.raises(UnsupportedVersion, match="speaks 5"):
        a_client().receive(frames(encode_goaway(GoAwayHead("unsupported_version", "speaks 5", 0)))[0])
    with pytest.raises(LinkRefused, match="no"):
        a_client().receive(frames(encode_goaway(GoAwayHead("link_refused", "no", 0)))[0])


@pytest.mark.parametrize("payload", [b"", b"GET / HTTP/1.1\r\n" * 3, b"HFLK\x02\x01" + b"n" * 32])
def test_something_else_on_the_socket_is_malformed(payload: bytes) -> None:
    with pytest.raises(MalformedFrame):
        a_host().receive(Frame(HELLO, 0, 0, payload))


def test_frames_out_of_turn_are_malformed() -> None:
    with pytest.raises(MalformedFrame, match="in the handshake"):
        a_host().receive(frames(encode_frame(AUTH, payload=b"x" * 32))[0])
    with pytest.raises(MalformedFrame, match="in the handshake"):
        a_client().receive(frames(encode_frame(AUTH, payload=b"x" * 32))[0])


def test_a_short_secret_is_refused_outright() -> None:
    with pytest.raises(LinkRefused, match="at least 16"):
        a_client(b"short")
