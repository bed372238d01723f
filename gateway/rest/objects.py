"""Presigned links to objects of a store that has no server of its own: `/v1/objects/{key}?expires=&signature=`.

The link's signature is the whole permission (no token is asked for): one method, one key, until it expires. A key of
an older layout leads to where its object counts now, so old links live on until their layout is finalized. Bodies
stream both ways. What was stored is never shown as a page of our own origin.
"""

from __future__ import annotations

import mimetypes

from starlette.routing import Route

from actors.call import Reply
from gateway.asgi import Headers, Receive, Scope, Send
from gateway.context import context_of
from gateway.errors import NotFound
from gateway.parts import GatewayParts
from gateway.rest.answer import send_reply, send_stream
from gateway.rest.query import query_fields
from storage.errors import InvalidRequest
from storage.layout.resolver import KeyResolver
from storage.objects.port import ObjectInfo
from storage.objects.presign import verify

ROUTE = "/v1/objects/{key:path}"
SHOWN_TYPES = ("video/", "audio/", "image/png", "image/jpeg", "image/webp", "image/gif", "application/json")
CONTENT_TYPE_LENGTH_MAX = 255


class ObjectLinks:
    """ASGI endpoint of the links."""

    def __init__(self, parts: GatewayParts) -> None:
        self._parts = parts
        self._keys = KeyResolver(parts.store, parts.env, clock=parts.clock)
        # A download by a stale record reads the other copy; an upload would be written where it soon counts no more.
        self._keys_now = KeyResolver(parts.store, parts.env, clock=parts.clock, ttl_s=0.0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = context_of(scope)
        context.route = ROUTE
        allowed, content_type = self._permitted(scope)
        uploads = scope["method"] == "PUT"
        key = await (self._keys_now if uploads else self._keys).resolve(allowed)
        if uploads:
            context.body.bytes_max = self._parts.settings.object_bytes_max
            info = await self._parts.store.put_stream(key, context.body.chunks(), content_type=content_type)
            answer = Reply(body=b'{"etag":"%s","size":%d}' % (info.etag.encode(), info.size))
            await send_reply(answer, receive, send, headers=[(b"etag", b'"%s"' % info.etag.encode())])
        elif scope["method"] == "HEAD":
            info = await self._parts.store.head(key)
            await send({"type": "http.response.start", "status": 200, "headers": _headers(info)})
            await send({"type": "http.response.body", "body": b""})
        else:
            async with self._parts.store.open(key) as stream:
                await send_stream(stream.chunks, receive, send, headers=_headers(stream.info))

    def _permitted(self, scope: Scope) -> tuple[str, str | None]:
        """The key the link allows, and the content type sent. Raises InvalidLink, ExpiredLink."""
        if self._parts.link_secret is None:
            raise NotFound("objects are reached at their store, not here")
        fields = query_fields(scope["query_string"], ("expires", "signature", "content-type"))
        sent = context_of(scope).header(b"content-type")
        if sent is not None and len(sent) > CONTENT_TYPE_LENGTH_MAX:
            raise InvalidRequest(f"content type of {len(sent)} characters, at most {CONTENT_TYPE_LENGTH_MAX}")
        key = verify(
            self._parts.link_secret,
            method=scope["method"],
            key=scope["path_params"]["key"],
            expires=fields.get("expires", ""),
            signature=fields.get("signature", ""),
            now=self._parts.clock.wall(),
            bound_content_type=fields.get("content-type"),
            sent_content_type=sent,
        )
        return key, sent


def object_routes(parts: GatewayParts) -> list[Route]:
    return [Route(ROUTE, ObjectLinks(parts), methods=["GET", "PUT"], name="object")]


def _headers(info: ObjectInfo) -> Headers:
    guessed = mimetypes.guess_type(info.key)[0] or ""
    shown = guessed.startswith(SHOWN_TYPES)
    headers = [
        (b"content-type", guessed.encode() if shown else b"application/octet-stream"),
        (b"content-length", b"%d" % info.size),
        (b"etag", b'"%s"' % info.etag.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"sandbox; default-src 'none'"),
    ]
    if not shown:
        headers.append((b"content-disposition", b"attachment"))
    return headers
