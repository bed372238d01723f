"""Settings of flags: values, checked once. Reading the environment is the front door's work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from storage.errors import InvalidRequest

FlagBackend = Literal["bucket", "workers_kv"]
CLOUDFLARE_API = "https://api.cloudflare.com/client/v4"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagSettings:
    """Where flags are kept and how long they are remembered. Times in seconds.

    `account_id`, `namespace_id` and `api_token` belong to Workers KV: one namespace per environment.
    """

    backend: FlagBackend = "bucket"
    account_id: str = ""
    namespace_id: str = ""
    api_token: str = ""
    api_url: str = CLOUDFLARE_API
    timeout_s: float = 5.0
    attempts_max: int = 4
    ttl_s: float = 30.0
    users_max: int = 100_000

    def validate(self) -> FlagSettings:
        """Self, or `InvalidRequest` naming the setting at fault."""
        if self.backend == "workers_kv":
            for name in ("account_id", "namespace_id", "api_token"):
                value = getattr(self, name)
                if not value or not value.isascii() or not value.isprintable() or "/" in value or " " in value:
                    raise InvalidRequest(f"{name} is missing or wrong, expected text without spaces for workers_kv")
            if not self.api_url.startswith(("http://", "https://")):
                raise InvalidRequest(f"api_url is {self.api_url!r}, expected a URL with http:// or https://")
        for name in ("timeout_s", "attempts_max", "ttl_s", "users_max"):
            if getattr(self, name) <= 0:
                raise InvalidRequest(f"{name} is {getattr(self, name)}, expected more than 0")
        return self
