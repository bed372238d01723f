"""Flags in Cloudflare Workers KV, over its REST API.

KV is eventually consistent: a reader may see the value of a minute ago, a miss as well, and the last write wins. It
takes one write per second and key, so writes of one key are sent that far apart. Whoever reads must be right with any
flag ever set (rule 14).
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

import httpx
import msgspec

from storage.clock import Clock
from storage.errors import CorruptObject, HoldfastError, StoreRefused, Unavailable
from storage.flags.flag import FLAG_BYTES_MAX, KEY_PREFIX, Flag, decode_flag, encode_flag, flag_key, user_of
from storage.flags.settings import FlagSettings
from storage.objects.backoff import BackoffPolicy

STALENESS_S = 60.0
WRITE_INTERVAL_S = 1.0
WRITE_WAIT_S_MAX = 10.0
WRITTEN_KEYS_MAX = 10_000
LIST_LIMIT = 1000
ANSWER_BYTES_MAX = 4 << 20
KEY_NOT_FOUND = 10009
BACKOFF = BackoffPolicy(first_s=0.25, longest_s=4.0)


class _Message(msgspec.Struct):
    code: int = 0
    message: str = ""


class _Name(msgspec.Struct):
    name: str


class _Info(msgspec.Struct):
    cursor: str | None = None


class _Envelope(msgspec.Struct):
    """What the API wraps its answers in."""

    errors: list[_Message] = msgspec.field(default_factory=list)


class _Page(msgspec.Struct):
    result: list[_Name] = msgspec.field(default_factory=list)
    result_info: _Info = msgspec.field(default_factory=_Info)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    retry_after_s: float | None


class WorkersKvFlags:
    """Implements `FlagStore`. `transport` replaces the network in tests."""

    def __init__(
        self,
        settings: FlagSettings,
        *,
        clock: Clock,
        rng: random.Random,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        account, namespace = quote(settings.account_id, safe=""), quote(settings.namespace_id, safe="")
        self._client = httpx.AsyncClient(
            base_url=f"{settings.api_url.rstrip('/')}/accounts/{account}/storage/kv/namespaces/{namespace}/",
            headers={"Authorization": f"Bearer {settings.api_token}"},
            timeout=settings.timeout_s,
            transport=transport,
            trust_env=False,
        )
        self._attempts_max = settings.attempts_max
        self._clock = clock
        self._rng = rng
        self._next_write_at: OrderedDict[str, float] = OrderedDict()

    @property
    def staleness_s(self) -> float:
        return STALENESS_S

    async def get(self, user: str) -> Flag | None:
        key = flag_key(user)
        answer = await self._ask("GET", _value_path(key))
        return None if answer is None else decode_flag(answer, key)

    async def put(self, user: str, flag: Flag) -> None:
        key = flag_key(user)
        await self._wait_to_write(key)
        await self._ask("PUT", _value_path(key), content=encode_flag(flag))

    async def delete(self, user: str) -> None:
        key = flag_key(user)
        await self._wait_to_write(key)
        await self._ask("DELETE", _value_path(key))

    async def users(self) -> AsyncIterator[str]:
        params = {"prefix": KEY_PREFIX, "limit": str(LIST_LIMIT)}
        while True:
            answer = await self._ask("GET", "keys", params=params) or b"{}"
            try:
                page = msgspec.json.decode(answer, type=_Page)
            except msgspec.MsgspecError as error:
                raise CorruptObject(f"keys of the flags' namespace: {error}") from error
            for entry in page.result:
                if (user := user_of(entry.name)) is not None:
                    yield user
            # A page may be empty and yet not the last: only the cursor tells.
            if not page.result_info.cursor:
                return
            params = {**params, "cursor": page.result_info.cursor}

    async def close(self) -> None:
        await self._client.aclose()

    async def _wait_to_write(self, key: str) -> None:
        """Until `key` may be written again; later writers queue up behind this one."""
        now = self._clock.now()
        at = max(now, self._next_write_at.get(key, now))
        if at - now > WRITE_WAIT_S_MAX:
            raise Unavailable(f"flag {key}: one write per second is taken, {at - now:.0f} wait", retry_after_s=at - now)
        self._next_write_at[key] = at + WRITE_INTERVAL_S
        self._next_write_at.move_to_end(key)
        while len(self._next_write_at) > WRITTEN_KEYS_MAX:
            self._next_write_at.popitem(last=False)
        if at > now:
            await self._clock.sleep(at - now)

    async def _ask(
        self, method: str, path: str, *, content: bytes | None = None, params: Mapping[str, str] | None = None
    ) -> bytes | None:
        """The body of the answer, None for a missing key. Repeats what may succeed later: every request may be."""
        for attempt in range(1, self._attempts_max + 1):
            try:
                answer = await self._send(method, path, content, params)
            except httpx.HTTPError as error:
                failure, asked_s = f"{type(error).__name__}: {error}", None
            else:
                if answer.status != 429 and answer.status < 500:
                    return _content_of(answer, f"{method} {path}")
                failure, asked_s = f"HTTP {answer.status}", answer.retry_after_s
                if answer.status == 429:  # somebody else wrote the key within the second
                    asked_s = max(asked_s or 0.0, WRITE_INTERVAL_S)
            if attempt < self._attempts_max:
                await self._clock.sleep(BACKOFF.wait_s(attempt, self._rng.random(), asked_s=asked_s))
        raise Unavailable(f"flags: {method} {path}: {failure}, {self._attempts_max} times", retry_after_s=asked_s)

    async def _send(self, method: str, path: str, content: bytes | None, params: Mapping[str, str] | None) -> _Answer:
        async with self._client.stream(method, path, content=content, params=params) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise CorruptObject(f"flags: {method} {path}: an answer of more than {ANSWER_BYTES_MAX} bytes")
            return _Answer(response.status_code, bytes(body), _seconds(response.headers.get("retry-after")))


def _value_path(key: str) -> str:
    return f"values/{quote(key, safe='')}"


def _content_of(answer: _Answer, what: str) -> bytes | None:
    if 200 <= answer.status < 300:
        return answer.body
    errors = _errors_of(answer.body)
    if answer.status == 404 and any(error.code == KEY_NOT_FOUND for error in errors):
        return None
    raise _refusal(answer.status, errors, what)


def _errors_of(body: bytes) -> list[_Message]:
    try:
        return msgspec.json.decode(body[:FLAG_BYTES_MAX], type=_Envelope).errors
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return []


def _refusal(status: int, errors: list[_Message], what: str) -> HoldfastError:
    """A wrong token, a wrong namespace, a request the API does not take: an operator has to look."""
    said = "; ".join(f"{error.code} {error.message}" for error in errors[:3]) or "no reason given"
    return StoreRefused(f"flags: {what}: HTTP {status}: {said}")


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() else None
