"""Errors of the live side.

HoldfastError
├── ActorError                      what happened to an actor or its host
│   ├── Overloaded                  an inbox or a budget is full: retry later
│   │   ├── HostFull                the host's memory budget is reached by actors in use
│   │   └── JournalFull             the bucket is out of reach and the journal reached its bound
│   ├── Moved                       not run here; somebody else owns the actor now
│   ├── OutcomeUnknownWrite         a write ran, and nobody can say whether it survived
│   ├── ActivationEnded             not run; the activation is ending or broke, ask again
│   ├── NotDurableYet               a bookmark was not reached within the time given
│   ├── WriteLost                   a bookmark names a write that a lossy takeover cut off
│   ├── InR2Mode                    the user's database is served in r2 mode
│   ├── NeedsActorMode              asked for in r2 mode, and only an actor can do it
│   ├── NotInActorMode              the file is sealing, returning, or of another generation
│   ├── HostUnavailable             the host cannot be reached now
│   ├── AddressLocked               another process on this machine holds the address's lock
│   └── SchemaFailed                a migration failed for this database
└── DatabaseError                   what happened to a statement; the request is at fault unless said otherwise
    ├── SqlError                    syntax, missing table, wrong binding, limits
    ├── ConstraintFailed            UNIQUE, NOT NULL, CHECK, FOREIGN KEY
    ├── NotAuthorized               the guard refused it
    ├── StatementTimeout            past the statement deadline
    ├── ResultTooLarge              more rows or bytes than an answer may hold
    ├── DatabaseFull                past the size limit
    ├── TransactionEnded            OR ROLLBACK or RAISE(ROLLBACK) ended the transaction
    ├── IdempotencyKeyReused        the key was used with another request
    ├── DatabaseBroken              memory or I/O failed under SQLite: recover from journal and log
    ├── NotEmpty                    an import would overwrite data, and did not say that it may
    └── InvalidDatabase             an imported file was refused
"""

from __future__ import annotations

from storage.errors import HoldfastError


class ActorError(HoldfastError):
    code = "actor_error"


class Overloaded(ActorError):
    code = "overloaded"
    retryable = True


class HostFull(Overloaded):
    code = "host_full"


class JournalFull(Overloaded):
    code = "journal_full"


class Moved(ActorError):
    code = "moved"
    retryable = True


class OutcomeUnknownWrite(ActorError):
    code = "outcome_unknown"


class ActivationEnded(ActorError):
    code = "activation_ended"
    retryable = True


class NotDurableYet(ActorError):
    code = "not_durable_yet"
    retryable = True


class WriteLost(ActorError):
    code = "write_lost"


class InR2Mode(ActorError):
    code = "in_r2_mode"


class NeedsActorMode(ActorError):
    code = "needs_actor_mode"


class NotInActorMode(ActorError):
    code = "not_in_actor_mode"
    retryable = True


class HostUnavailable(ActorError):
    code = "host_unavailable"
    retryable = True


class AddressLocked(ActorError):
    code = "address_locked"
    retryable = True


class SchemaFailed(ActorError):
    code = "schema_failed"


class DatabaseError(HoldfastError):
    code = "database_error"


class SqlError(DatabaseError):
    code = "sql_error"


class ConstraintFailed(DatabaseError):
    code = "constraint_failed"


class NotAuthorized(DatabaseError):
    code = "not_authorized"


class StatementTimeout(DatabaseError):
    code = "statement_timeout"


class ResultTooLarge(DatabaseError):
    code = "result_too_large"


class DatabaseFull(DatabaseError):
    code = "database_full"


class TransactionEnded(DatabaseError):
    code = "transaction_ended"


class IdempotencyKeyReused(DatabaseError):
    code = "idempotency_key_reused"


class DatabaseBroken(DatabaseError):
    code = "database_broken"
    retryable = True


class InvalidDatabase(DatabaseError):
    code = "invalid_database"


class NotEmpty(DatabaseError):
    code = "not_empty"
