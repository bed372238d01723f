"""The operations on one database: sql, status, durable, flush, export, import.

Each is a bare ASGI endpoint: bytes go to the actor as they came and come back as the actor made them. What a client
may ask is checked here only as far as the actor could not know it (headers, query, the size of the body).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from actors.call import Durability, Op, Reply
from actors.errors import InR2Mode, NotInActorMode
from gateway.asgi import Headers, Receive, Scope, Send
from gateway.context import RequestContext, context_of
from gateway.identity import identify, meant_user
from gateway.modes import NOT_AN_ACTORS, ModeRouter, Served
from gateway.profile_directory import ProfileDirectory
from gateway.rest.answer import send_reply
from gateway.rest.query import boolean_field, choice_field, query_fields, seconds_field
from gateway.rest.sql_args import LEVELS, sql_args
from gateway.router import Router
from gateway.settings import GatewaySettings
from storage.errors import HoldfastError, InvalidRequest
from storage.layout.address import Address
from storage.log.bookmark import Bookmark

MODE_ACTOR, MODE_R2 = "actor", "r2"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request to one database, and the way back."""

    scope: Scope
    context: RequestContext
    address: Address
    send: Send


Operation = Callable[[Exchange], Awaitable[None]]


class Databases:
    """Finds the address a request means and carries its operation to the actor."""

    def __init__(
        self, *, router: Router, directory: ProfileDirectory, settings: GatewaySettings, modes: ModeRouter | None = None
    ) -> None:
        self._router = router
        self._modes = modes
        self._directory = directory
        self._settings = settings
        self._user_header = settings.user_header.lower().encode()
        self.operations: dict[tuple[str, str], Operation] = {
            ("POST", "sql"): self.sql,
            ("GET", "status"): self.status,
            ("GET", "durable"): self.durable,
            ("POST", "flush"): self.flush,
            ("GET", "export"): self.export,
            ("PUT", "import"): self.import_database,
        }

    def user(self, context: RequestContext, path_user: str | None) -> str:
        """Whose request this is. Raises UserMismatch, UserRequired, InvalidId."""
        claims = context.claims(header_name=self._user_header, cookie_name=self._settings.user_cookie)
        context.user = user = identify(claims, path_user)
        return user

    async def address(self, context: RequestContext, path_user: str | None, profile: str | None) -> Address:
        """The address a request means; `path_user` None is `me`, `profile` None the selected one."""
        claims = context.claims(header_name=self._user_header, cookie_name=self._settings.user_cookie)
        user = meant_user(claims, path_user)
        address = self._directory.cached(user, profile) or await self._directory.resolve(user, profile)
        context.user, context.profile = address.user, address.profile
        return address

    async def sql(self, exchange: Exchange) -> None:
        """POST sql: body as it came; rows whole, or as JSON lines with `?stream=true`."""
        context = exchange.context
        fields = query_fields(exchange.scope["query_string"], ("shape", "stream"))
        args = sql_args(context.headers, fields, key_length_max=self._settings.idempotency_key_length_max)
        context.body.bytes_max = self._settings.body_bytes_max
        body = await context.body.read()
        op = Op.SQL_STREAM if boolean_field(fields, "stream") else Op.SQL
        await self._answer(exchange, await self._call(exchange, op, args, body))

    async def status(self, exchange: Exchange) -> None:
        query_fields(exchange.scope["query_string"], ())
        await self._answer(exchange, await self._call(exchange, Op.STATUS, {}))

    async def durable(self, exchange: Exchange) -> None:
        """GET durable: wait until a bookmark is durable at a level (default: in the bucket)."""
        settings = self._settings
        fields = query_fields(exchange.scope["query_string"], ("bookmark", "level", "timeout_s"))
        args: dict[str, object] = {
            "level": choice_field(fields, "level", LEVELS, Durability.R2.value),
            "timeout_s": seconds_field(
                fields, "timeout_s", default=settings.durable_wait_s, most=settings.durable_wait_max_s
            ),
        }
        if "bookmark" not in fields:
            raise InvalidRequest("query parameter 'bookmark' is missing: an earlier answer has one")
        args["bookmark"] = str(Bookmark.parse(fields["bookmark"]))
        await self._answer(exchange, await self._call(exchange, Op.DURABLE, args))

    async def flush(self, exchange: Exchange) -> None:
        query_fields(exchange.scope["query_string"], ())
        await self._answer(exchange, await self._call(exchange, Op.FLUSH, {}))

    async def export(self, exchange: Exchange) -> None:
        """GET export: a SQLite file, streamed."""
        query_fields(exchange.scope["query_string"], ())
        reply = await self._call(exchange, Op.EXPORT, {})
        name = f"{exchange.address.user}-{exchange.address.profile}.sqlite".encode()
        await self._answer(exchange, reply, [(b"content-disposition", b'attachment; filename="%s"' % name)])

    async def import_database(self, exchange: Exchange) -> None:
        """PUT import: a SQLite file, streamed to the actor as it arrives."""
        fields = query_fields(exchange.scope["query_string"], ("replace",))
        body = exchange.context.body
        body.bytes_max = self._settings.import_bytes_max
        if body.declared is not None and body.declared > body.bytes_max:
            await body.receive()  # refuses
        args = {"replace": boolean_field(fields, "replace")}
        try:
            reply = await self._call(exchange, Op.IMPORT, args, stream=True)
        except Exception as error:
            if body.failure is not None:
                raise body.failure from error
            raise
        await self._answer(exchange, reply)

    async def _call(
        self, exchange: Exchange, op: Op, args: Mapping[str, object], body: bytes = b"", *, stream: bool = False
    ) -> Reply:
        context, modes, address = exchange.context, self._modes, exchange.address
        chunks = context.body.chunks() if stream else None
        found = None if modes is None or stream else modes.actors_found.get(address)
        try:
            if modes is not None and found is None:
                return await modes.call(context, address, op, args, body, stream=chunks)
            context.mode, context.mode_reason = MODE_ACTOR, found or ""
            return await self._router.call(address, op, args, body, stream=chunks)
        except HoldfastError as error:
            return await self.after_failure(context, address, op, args, body, error, found=found is not None)

    async def after_failure(
        self,
        served: Served,
        address: Address,
        op: Op,
        args: Mapping[str, object],
        body: bytes,
        error: HoldfastError,
        *,
        found: bool,
    ) -> Reply:
        """The answer after `error`, which an actor gave that was `found` before or not; mostly raises it."""
        if self._modes is not None and found and error.code in NOT_AN_ACTORS:
            return await self._modes.call(served, address, op, args, body, refusal=error)
        if error.code == InR2Mode.code:
            served.mode = MODE_R2
        elif error.code == NotInActorMode.code:
            # Perhaps deleted through another gateway: the next request looks again.
            self._directory.forget(address.user)
        raise error

    async def _answer(self, exchange: Exchange, reply: Reply, headers: Headers | None = None) -> None:
        await send_reply(reply, exchange.context.body.receive, exchange.send, headers=headers)


class DatabaseEndpoint:
    """ASGI endpoint of one operation under one shape of path."""

    def __init__(self, databases: Databases, operation: Operation, template: str) -> None:
        self._databases = databases
        self._operation = operation
        self._template = template

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = context_of(scope)
        context.route = self._template
        params = scope["path_params"]
        address = await self._databases.address(context, params.get("user"), params.get("profile"))
        await self._operation(Exchange(scope, context, address, send))
