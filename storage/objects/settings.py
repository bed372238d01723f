"""Settings of an object store: values, checked once. Reading the environment is the front door's work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from storage.errors import InvalidRequest

StoreKind = Literal["local", "s3"]

MIB = 1 << 20
PART_BYTES_MIN = 5 * MIB
PART_BYTES_MAX = 5 << 30
PARTS_MAX = 10_000
COPY_BYTES_MAX = 5 << 30  # one CopyObject; bigger objects are copied in parts


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Settings:
    """Where the bucket is and how patiently it is asked. Credentials come from boto3's own chain, never from here.

    `endpoint` None means AWS itself. Times in seconds, sizes in bytes. `attempts_max` bounds the sends of one retried
    operation; conditional writes are always sent once. `read_timeout_s` is well under the wait of a takeover (rule 5):
    an owner that waits 15 s for one lost answer is overtaken before it can hand over what it acknowledged.
    """

    bucket: str
    endpoint: str | None = None
    region: str = "auto"
    threads_max: int = 64
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 4.0
    attempts_max: int = 6
    multipart_above_bytes: int = 64 * MIB
    part_bytes: int = 16 * MIB
    copy_bytes_max: int = COPY_BYTES_MAX
    copy_part_bytes: int = 1 << 30

    def validate(self) -> S3Settings:
        """Self, or `InvalidRequest` naming the setting at fault."""
        if not self.bucket or "/" in self.bucket:
            raise InvalidRequest(f"bucket is {self.bucket!r}, expected the name of a bucket")
        if self.endpoint is not None and not self.endpoint.startswith(("http://", "https://")):
            raise InvalidRequest(f"endpoint is {self.endpoint!r}, expected a URL with http:// or https://")
        for name in ("threads_max", "connect_timeout_s", "read_timeout_s", "attempts_max", "multipart_above_bytes"):
            if getattr(self, name) <= 0:
                raise InvalidRequest(f"{name} is {getattr(self, name)}, expected more than 0")
        for name in ("part_bytes", "copy_part_bytes"):
            if not PART_BYTES_MIN <= getattr(self, name) <= PART_BYTES_MAX:
                raise InvalidRequest(f"{name} is {getattr(self, name)}, expected {PART_BYTES_MIN} to {PART_BYTES_MAX}")
        if not 0 < self.copy_bytes_max <= COPY_BYTES_MAX:
            raise InvalidRequest(f"copy_bytes_max is {self.copy_bytes_max}, expected 1 to {COPY_BYTES_MAX}")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Which store: a directory (`root`) or a bucket (`s3`)."""

    kind: StoreKind = "local"
    root: Path | None = None
    s3: S3Settings | None = None

    def validate(self) -> StoreSettings:
        """Self, or `InvalidRequest` naming what the kind of store needs and does not have."""
        if self.kind == "local" and self.root is None:
            raise InvalidRequest("store kind local: root is missing, expected a directory")
        if self.kind == "s3":
            if self.s3 is None:
                raise InvalidRequest("store kind s3: s3 is missing, expected a bucket")
            self.s3.validate()
        if self.kind not in ("local", "s3"):
            raise InvalidRequest(f"store kind is {self.kind!r}, expected local or s3")
        return self
