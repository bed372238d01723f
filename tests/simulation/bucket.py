"""The simulated bucket: what all machines share, and what survives every one of them.

Atomic operations on a dictionary, with the semantics the port promises. Watchers see every object that lands, in the
order it landed, and whether it replaced another: that is the truth the invariants judge by. Delays, losses and
refusals are `store`'s.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right, insort
from collections.abc import Callable, Mapping

from storage.errors import ObjectNotFound, PreconditionFailed
from storage.objects.port import ListPage, ObjectInfo, StoredObject
from tests.simulation.clock import EPOCH_WALL_S

LIST_PAGE_KEYS_MAX = 1000


class Bucket:
    """See the module. `time` is the store's own clock."""

    def __init__(self, true_time: Callable[[], float], clock_offset: float = 0.0) -> None:
        self.true_time = true_time
        self._offset = clock_offset
        self._objects: dict[str, StoredObject] = {}
        self._keys: list[str] = []
        self.watchers: list[Callable[[StoredObject, bool], None]] = []
        self.delete_watchers: list[Callable[[str], None]] = []

    def time(self) -> float:
        """The Date header."""
        return EPOCH_WALL_S + self.true_time() + self._offset

    def get(self, key: str) -> StoredObject:
        try:
            return self._objects[key]
        except KeyError:
            raise ObjectNotFound(f"object {key}: not found") from None

    def find(self, key: str) -> StoredObject | None:
        return self._objects.get(key)

    def put(
        self,
        key: str,
        body: bytes,
        metadata: Mapping[str, str] | None,
        *,
        if_none_match: str | None = None,
        if_match: str | None = None,
    ) -> ObjectInfo:
        present = self._objects.get(key)
        if if_none_match is not None and present is not None:
            raise PreconditionFailed(f"object {key}: exists")
        if if_match is not None and (present is None or present.info.etag != if_match):
            raise PreconditionFailed(f"object {key}: expected etag {if_match}")
        info = ObjectInfo(key, len(body), hashlib.md5(body).hexdigest(), self.time(), dict(metadata or {}))
        stored = StoredObject(info, body)
        if present is None:
            insort(self._keys, key)
        self._objects[key] = stored
        for watcher in self.watchers:
            watcher(stored, present is not None)
        return info

    def delete(self, key: str) -> None:
        if self._objects.pop(key, None) is not None:
            self._keys.remove(key)
            for watcher in self.delete_watchers:
                watcher(key)

    def page(self, prefix: str, start_after: str = "", limit: int = LIST_PAGE_KEYS_MAX) -> ListPage:
        start = bisect_right(self._keys, max(start_after, prefix[:-1]))
        found: list[ObjectInfo] = []
        for key in self._keys[start:]:
            if not key.startswith(prefix):
                if key > prefix:
                    break
                continue
            if len(found) == min(limit, LIST_PAGE_KEYS_MAX):
                return ListPage(tuple(found), found[-1].key, self.time())
            info = self._objects[key].info
            found.append(ObjectInfo(info.key, info.size, info.etag, info.modified_at))
        return ListPage(tuple(found), None, self.time())

    def keys(self, prefix: str) -> list[str]:
        """All keys below a prefix, for the judges."""
        return [key for key in self._keys if key.startswith(prefix)]
