"""What may go wrong with moving a user, by what the driver does next.

HoldfastError
└── MigrationError
    ├── Quarantined        the file is odd: it stays in r2 mode, the reason is recorded, the others go on
    │   └── NotVerified    what the log gives is not what the file holds: unsealed again, recorded, the others go on
    ├── ForeignWriter      a sealed file changed: somebody writes past the gateway; stop and look
    ├── TooEarly           finalize before the retention time is over
    ├── WrongDirection     the user is on the way back, or was deleted: nothing to do in this direction
    ├── Superseded         somebody began to move this user the other way: leave it to them
    ├── PauseTooLong       writes would have waited longer than allowed: unsealed again, try later
    ├── StillOwned         the actor does not end: go on later, or close over it by force
    └── NoProgress         too many steps for one address: others interfere, try later
"""

from __future__ import annotations

from storage.errors import HoldfastError


class MigrationError(HoldfastError):
    code = "migration_error"


class Quarantined(MigrationError):
    code = "quarantined"


class NotVerified(Quarantined):
    code = "not_verified"


class ForeignWriter(MigrationError):
    code = "foreign_writer"


class TooEarly(MigrationError):
    code = "too_early"


class WrongDirection(MigrationError):
    code = "wrong_direction"


class Superseded(MigrationError):
    code = "superseded"


class PauseTooLong(MigrationError):
    code = "pause_too_long"
    retryable = True


class StillOwned(MigrationError):
    code = "still_owned"
    retryable = True


class NoProgress(MigrationError):
    code = "no_progress"
    retryable = True
