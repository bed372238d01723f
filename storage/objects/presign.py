"""Presigned links of stores that have no server of their own: HMAC-signed, served by the gateway. Pure.

A link allows one method on one key until it expires, and for PUT may bind the content type the client has to send:
`{base_url}/v1/objects/{key}?expires={unix}&signature={hex}[&content-type={type}]`. A GET link allows HEAD as well. The
one who serves the route calls `verify` first and trusts nothing else in the request.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Literal
from urllib.parse import quote, urlencode

from storage.errors import InvalidRequest, StoreRefused
from storage.objects.key import check_key

Method = Literal["GET", "PUT"]

EXPIRES_S_MAX = 604_800  # seven days: the bound that R2 and S3 have
SECRET_BYTES_MIN = 16
OBJECTS_PATH = "/v1/objects/"


class InvalidLink(InvalidRequest):
    """The link was not signed by us for this request."""

    code = "invalid_link"


class ExpiredLink(InvalidLink):
    """The link was ours, and its time is over."""

    code = "expired_link"


@dataclass(frozen=True, slots=True)
class LinkSigner:
    """Who signs: the secret shared with the gateway, and where clients reach the gateway (no slash at the end)."""

    secret: bytes = dataclass_field(repr=False)
    base_url: str

    def __post_init__(self) -> None:
        if len(self.secret) < SECRET_BYTES_MIN:
            raise InvalidRequest(f"link secret has {len(self.secret)} bytes, at least {SECRET_BYTES_MIN} are needed")

    def url(self, method: Method, key: str, now: float, *, expires_s: int, content_type: str | None = None) -> str:
        """The whole link. `now` is Unix time; `expires_s` 1 to EXPIRES_S_MAX."""
        expires = int(now) + check_expires(expires_s)
        fields = {"expires": str(expires), "signature": sign(self.secret, method, key, expires, content_type)}
        if content_type is not None:
            fields["content-type"] = content_type
        return f"{self.base_url.rstrip('/')}{OBJECTS_PATH}{quote(key)}?{urlencode(fields)}"


def require_signer(signer: LinkSigner | None) -> LinkSigner:
    """`signer`, or `StoreRefused` when the store was opened without one."""
    if signer is None:
        raise StoreRefused("presigned links: the store was opened without a link secret and a base address")
    return signer


def check_expires(expires_s: int) -> int:
    """`expires_s` if a presigned URL may live that long, else `InvalidRequest`."""
    if not 1 <= expires_s <= EXPIRES_S_MAX:
        raise InvalidRequest(f"presigned link for {expires_s} s, expected 1 to {EXPIRES_S_MAX}")
    return expires_s


def sign(secret: bytes, method: Method, key: str, expires: int, content_type: str | None = None) -> str:
    """The signature in hex. Every field carries its length, so that no two requests sign the same text."""
    fields = ("holdfast-link-1", method, key, str(expires), "" if content_type is None else f"={content_type}")
    encoded = [field.encode(errors="surrogatepass") for field in fields]
    text = b"".join(len(field).to_bytes(4, "big") + field for field in encoded)
    return hmac.new(secret, text, hashlib.sha256).hexdigest()


def verify(
    secret: bytes,
    *,
    method: str,
    key: str,
    expires: str,
    signature: str,
    now: float,
    bound_content_type: str | None = None,
    sent_content_type: str | None = None,
) -> str:
    """The key, if the link allows this request now; else `InvalidLink` or `ExpiredLink`.

    `expires`, `signature` and `bound_content_type` (its `content-type`) come from the link's query as they are, `key`
    from its path, percent-decoded once; `sent_content_type` is the request's header. Comparison takes constant time.
    """
    allowed: Method | None = "GET" if method in ("GET", "HEAD") else "PUT" if method == "PUT" else None
    if allowed is None or not expires.isascii() or not expires.isdecimal() or len(expires) > 12:
        raise InvalidLink(f"link for {key[:200]!r}: not a signed {method[:20]} link")
    expected = sign(secret, allowed, check_key(key), int(expires), bound_content_type)
    if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
        raise InvalidLink(f"link for {key[:200]!r}: the signature does not fit this request")
    if now >= int(expires):
        raise ExpiredLink(f"link for {key[:200]!r}: expired {now - int(expires):.0f} s ago")
    if bound_content_type is not None and sent_content_type != bound_content_type:
        raise InvalidLink(
            f"link for {key[:200]!r}: content type {sent_content_type!r}, bound is {bound_content_type!r}"
        )
    return key
