"""What may become of a request in r2 mode, by what the caller does next.

StorageError
├── FileMoved          nothing was kept: the actor serves this address now, ask there
├── FileMissing        nothing was kept: there is no file, and none was to be begun
├── ChangingModes      nothing was kept: sealing (writes) or returning, ask again soon
├── LostRace           nothing was kept: others saved first, several times in a row
├── TooManyWaiting     nothing was kept: too many writes of this address wait for their turn
├── FileTooLarge       the file is larger than this mode takes
├── SaveUnknown        the write ran, and nobody can say whether its save survived
└── LocalConflict      the local copy and the file both changed: somebody has to choose
"""

from __future__ import annotations

from storage.errors import ObjectNotFound, StorageError


class FileMoved(StorageError):
    code = "moved"
    retryable = True


class FileMissing(ObjectNotFound):
    """See the module."""


class ChangingModes(StorageError):
    code = "changing_modes"
    retryable = True


class LostRace(StorageError):
    code = "lost_race"
    retryable = True


class TooManyWaiting(StorageError):
    code = "overloaded"
    retryable = True


class FileTooLarge(StorageError):
    code = "file_too_large"


class SaveUnknown(StorageError):
    code = "outcome_unknown"


class LocalConflict(StorageError):
    code = "local_conflict"
