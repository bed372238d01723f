"""Settings of the gateway: values with defaults, checked once. Reading the environment is the front door's work.

Every bound that a client can reach stands here, with its unit in its name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from storage.errors import InvalidRequest

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Who may come in, how much may come in at once, and how long things are remembered.

    `token` guards everything but the probes and presigned links. `user_token_secret` signs tokens of single users;
    without it the key is derived from `token`. `hosts_allowed` are host names an unguarded service answers to beside
    loopback ones. `cors_origins` holds exact origins, or `*`.
    """

    token: str | None = None
    user_token_secret: str | None = None
    user_header: str = "X-User-ID"
    user_cookie: str = "user_id"
    cors_origins: tuple[str, ...] = ()
    hosts_allowed: tuple[str, ...] = ()

    header_bytes_max: int = 32 << 10
    body_bytes_max: int = 16 << 20
    bodies_bytes_max: int = 256 << 20
    small_body_bytes_max: int = 64 << 10
    import_bytes_max: int = 1 << 30
    object_bytes_max: int = 5 << 30
    body_idle_s: float = 30.0
    requests_max: int = 1024
    connections_max: int = 4096
    keep_alive_s: int = 75
    shutdown_grace_s: int = 15

    durable_wait_s: float = 10.0
    durable_wait_max_s: float = 60.0
    idempotency_key_length_max: int = 255

    profiles_max: int = 100
    profile_name_length_max: int = 200
    selection_ttl_s: float = 30.0
    selection_users_max: int = 10_000
    new_users: Literal["actor", "r2"] = "actor"
    rollout_ttl_s: float = 10.0
    modes_remembered_max: int = 100_000
    erasure_sweep_s: float = 3600.0

    ready_ttl_s: float = 2.0
    ready_timeout_s: float = 2.0
    host_metrics_timeout_s: float = 2.0
    access_log: bool = True

    @property
    def guarded(self) -> bool:
        """Whether a caller needs a token."""
        return self.token is not None or self.user_token_secret is not None

    def validate(self) -> GatewaySettings:
        """Self, or `InvalidRequest` naming the setting that cannot work."""
        for name in ("token", "user_token_secret"):
            value = getattr(self, name)
            if value is not None and (not value or not value.isascii() or not value.isprintable() or " " in value):
                raise InvalidRequest(f"{name}: expected printable ASCII without spaces, at least one character")
        for name in ("user_header", "user_cookie"):
            if not _HEADER_NAME.match(getattr(self, name)):
                raise InvalidRequest(f"{name} is {getattr(self, name)!r}, expected the name of a header or cookie")
        for name in (name for name in self.__slots__ if name.endswith(("_max", "_s"))):
            if getattr(self, name) <= 0:
                raise InvalidRequest(f"{name} is {getattr(self, name)}, expected more than 0")
        if self.bodies_bytes_max < self.body_bytes_max:
            raise InvalidRequest(f"bodies_bytes_max is {self.bodies_bytes_max}, expected at least body_bytes_max")
        for origin in self.cors_origins:
            if origin != "*" and not re.fullmatch(r"https?://[^/\s]+", origin):
                raise InvalidRequest(f"cors_origins holds {origin!r}, expected scheme://host[:port] or *")
        return self
