"""From settings to an object store."""

from __future__ import annotations

import random
from typing import Any

from storage.clock import Clock
from storage.objects.local import LocalStore
from storage.objects.port import ObjectStore
from storage.objects.presign import LinkSigner
from storage.objects.settings import StoreSettings


def open_store(
    settings: StoreSettings,
    *,
    clock: Clock,
    rng: random.Random,
    links: LinkSigner | None = None,
    session: Any = None,
) -> ObjectStore:
    """The store that `settings` describe; close it with `close()`. Blocks for some 100 ms when boto3 is loaded.

    `links` signs presigned URLs of a local store (a bucket signs its own). `session` is a boto3 session to use instead
    of boto3's own credentials chain. Raises InvalidRequest for settings that fit no store.
    """
    settings.validate()
    if settings.s3 is not None and settings.kind == "s3":
        from storage.objects.s3 import S3Store  # here, because boto3 costs every process 0.3 s and 20 MB

        return S3Store(settings.s3, clock, rng, session=session)
    assert settings.root is not None, "validate lets no local store without a root through"
    return LocalStore(settings.root, clock, links=links)
