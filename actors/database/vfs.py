"""SQLite's file system over page images: reads come from pages in memory, and a commit is caught whole.

With journal_mode=MEMORY and locking_mode=EXCLUSIVE SQLite calls xSync once per commit that changed data, after the last
write and before it truncates; there the pages that differ from the last commit are frozen into a `CommitPages`. It
counts when SQLite says that the commit went through (COMMIT_PHASETWO): a rollback writes and syncs too, and even leaves
content of its own in free pages, which SQLite does not journal. Nothing of that may leak, so pages are never captured
per write.

xWrite and xTruncate to memory never raise: SQLite could not undo a failure there. A veto in xSync makes COMMIT fail,
and SQLite restores the pages.

One VFS is registered per process and serves every image: a file is announced under a name of its own just before its
connection opens it. Any other name (journals, temporary files) is a plain buffer in memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import apsw

from actors.database.image import CommitPages, PageImage, zero_page

VFS_NAME = "holdfast-image"
_SECTOR_BYTES = 4096
_COMMIT_PHASETWO = apsw.SQLITE_FCNTL_COMMIT_PHASETWO


class ImageFile:
    """One open image. `pending` is what was committed and not yet taken; `veto` may raise to refuse a commit.

    SQLite's own names, because it calls them. A single connection uses a file, so locks are no-ops.
    """

    __slots__ = ("before", "committed_pages", "frozen", "image", "page_size", "pages", "pending", "veto")

    def __init__(self, image: PageImage) -> None:
        self.image = image
        self.page_size = image.page_size
        self.pages = image.pages
        self.committed_pages = len(image.pages)
        self.before: dict[int, bytes | None] = {}
        self.frozen: CommitPages | None = None
        self.pending: CommitPages | None = None
        self.veto: Callable[[], None] | None = None

    def take(self) -> CommitPages | None:
        """What was committed since the last take, once."""
        pending = self.pending
        self.pending = None
        return pending

    def xRead(self, amount: int, offset: int) -> bytes:
        index, start = divmod(offset, self.page_size)
        try:
            page = self.pages[index]
        except IndexError:
            return b""
        if amount == self.page_size and not start:
            return page
        if start + amount <= self.page_size:
            return page[start : start + amount]
        last = (offset + amount - 1) // self.page_size
        return b"".join(self.pages[index : last + 1])[start : start + amount]

    def xWrite(self, data: bytes, offset: int) -> None:
        page = bytes(data)
        size = self.page_size
        index, start = divmod(offset, size)
        if start or len(page) != size:
            return self._write_pieces(page, offset)
        pages = self.pages
        if index < len(pages):
            if index not in self.before:
                self.before[index] = pages[index]
            pages[index] = page
            return None
        self._grow(index)
        pages.append(page)
        self.before.setdefault(index, None)
        return None

    def _write_pieces(self, data: bytes, offset: int) -> None:
        """A write that is not one whole page (SQLite's pager makes none; written for completeness)."""
        size = self.page_size
        while data:
            index, start = divmod(offset, size)
            piece = data[: size - start]
            old = self.pages[index] if index < len(self.pages) else zero_page(size)
            self.xWrite(old[:start] + piece + old[start + len(piece) :], index * size)
            data = data[len(piece) :]
            offset += len(piece)

    def xTruncate(self, size: int) -> None:
        pages = self.pages
        count = size // self.page_size
        if count < len(pages):
            for index in range(count, len(pages)):
                self.before.setdefault(index, pages[index])
            del pages[count:]
        else:
            self._grow(count)

    def _grow(self, count: int) -> None:
        """Pages up to `count`, zeros where nothing was written: SQLite leaves such holes."""
        while len(self.pages) < count:
            self.before.setdefault(len(self.pages), None)
            self.pages.append(zero_page(self.page_size))

    def xSync(self, flags: int) -> None:
        if self.veto is not None:
            # Once: SQLite syncs again when it rolls the refused commit back, and a failure there would be kept.
            veto, self.veto = self.veto, None
            veto()
        self.frozen = self._freeze() if self.before else None

    def _freeze(self) -> CommitPages | None:
        """What this commit changed, if it goes through."""
        pages, before = self.pages, self.before
        # A commit that shrinks the database truncates the file after this sync; page 1 already has the new size.
        count = len(pages) if 0 not in before else self._header_page_count()
        kept = min(count, self.committed_pages)
        numbers = [n for n, old in before.items() if n < kept and pages[n] is not old and pages[n] != old]
        numbers.sort()
        numbers.extend(range(kept, count))
        if not numbers and count == self.committed_pages:
            return None
        return CommitPages(count, tuple([(number + 1, pages[number]) for number in numbers]))

    def _accept(self) -> None:
        """The commit went through."""
        frozen = self.frozen
        if frozen is not None:
            self.pending = frozen if self.pending is None else merge_commits(self.pending, frozen)
            self.committed_pages = frozen.page_count
            self.frozen = None
        self.before.clear()

    def revert(self) -> None:
        """After a rollback: the image is the last commit again, down to the content of free pages."""
        self.frozen = None
        del self.pages[self.committed_pages :]
        self._grow(self.committed_pages)
        for index, old in self.before.items():
            if old is not None:
                self.pages[index] = old
        self.before.clear()

    def _header_page_count(self) -> int:
        first = self.pages[0]
        count = int.from_bytes(first[28:32], "big")
        trusted = first[24:28] == first[92:96] and 0 < count <= len(self.pages)
        return count if trusted else len(self.pages)

    def xFileSize(self) -> int:
        return len(self.pages) * self.page_size

    def xLock(self, level: int) -> None:
        pass

    def xUnlock(self, level: int) -> None:
        pass

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, operation: int, pointer: int) -> bool:
        if operation == _COMMIT_PHASETWO:
            self._accept()
        return False

    def xSectorSize(self) -> int:
        return _SECTOR_BYTES

    def xDeviceCharacteristics(self) -> int:
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE | apsw.SQLITE_IOCAP_SAFE_APPEND

    def xClose(self) -> None:
        pass


class BufferFile(ImageFile):
    """A file of plain bytes: journals and temporary files that nobody keeps, databases that change their page size."""

    __slots__ = ("buffer",)

    def __init__(self, content: bytes = b"") -> None:
        super().__init__(PageImage.empty(_SECTOR_BYTES))
        self.buffer = bytearray(content)

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self.buffer[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        if offset > len(self.buffer):
            self.buffer.extend(bytes(offset - len(self.buffer)))
        self.buffer[offset : offset + len(data)] = data

    def xTruncate(self, size: int) -> None:
        del self.buffer[size:]

    def xSync(self, flags: int) -> None:
        pass

    def xFileSize(self) -> int:
        return len(self.buffer)


class _ImageVfs(apsw.VFS):
    """Serves announced images by name; one per process."""

    def __init__(self) -> None:
        self.announced: dict[str, ImageFile] = {}
        super().__init__(VFS_NAME, base="")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> ImageFile:  # type: ignore[override]
        flags[1] = flags[0]
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        file = self.announced.pop(path, None) if path is not None else None
        return BufferFile() if file is None else file

    def xAccess(self, pathname: str, flags: int) -> bool:
        return False

    def xFullPathname(self, name: str) -> str:
        return name

    def xDelete(self, filename: str, syncdir: bool) -> None:
        pass


_VFS = _ImageVfs()
_NAMES = itertools.count(1)


def connect(file: ImageFile, *, read_only: bool, statements_cached: int) -> apsw.Connection:
    """A connection over `file`. Raises apsw.Error."""
    name = f"/{next(_NAMES)}"
    _VFS.announced[name] = file
    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    try:
        return apsw.Connection(name, flags, vfs=VFS_NAME, statementcachesize=statements_cached)
    finally:
        _VFS.announced.pop(name, None)


def merge_commits(earlier: CommitPages, later: CommitPages) -> CommitPages:
    """Two commits as one."""
    pages = {number: page for number, page in earlier.pages if number <= later.page_count}
    pages.update(later.pages)
    return CommitPages(later.page_count, tuple(sorted(pages.items())))
