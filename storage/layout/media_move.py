"""The move of one medium into the project layout, as a document in the bucket. Pure.

    {env}/layout/projects/{hash of the old key}/{hash of the new key}.json

By the old key's hash, so that an old link finds its new place with one listing; an old object that several records
used has one document per new place. `switched` is set when the record that named the old key names the new one.
"""

from __future__ import annotations

import hashlib

import msgspec

from storage.errors import CorruptObject


class MediaMove(msgspec.Struct, frozen=True):
    """Size and ETag are the old object's, as the copy was verified against; `records` names whose record it was."""

    old: str
    new: str
    size: int
    etag: str
    records: str = ""
    switched: bool = False


def all_media_moves_prefix(env: str) -> str:
    """Every move of an environment; ends in `/`."""
    return f"{env}/layout/projects/"


def media_moves_prefix(env: str, old: str) -> str:
    """Every move of one old object; ends in `/`."""
    return f"{all_media_moves_prefix(env)}{hashlib.sha256(old.encode()).hexdigest()}/"


def media_move_key(env: str, old: str, new: str) -> str:
    return f"{media_moves_prefix(env, old)}{hashlib.sha256(new.encode()).hexdigest()[:32]}.json"


def encode_media_move(move: MediaMove) -> bytes:
    return msgspec.json.encode(move)


def decode_media_move(body: bytes, what: str) -> MediaMove:
    """The move, or CorruptObject; `what` is for the message."""
    try:
        return _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise CorruptObject(f"{what}: {error}") from error


_decoder = msgspec.json.Decoder(MediaMove)
