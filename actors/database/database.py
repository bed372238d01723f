"""One database over an image: batches of user SQL, each one transaction, each answered with native rows.

Promises: a batch that raises has changed nothing; what a batch committed is what `take_commit` hands out, page by page;
user SQL sees and touches what the guard allows. The cheap path for one statement leaves BEGIN and COMMIT away. The
caller runs one call at a time, on whatever thread. Journal, log and gate know nothing of SQLite, and this file nothing
of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

import msgspec

from actors.database.connection import GuardedConnection
from actors.database.deadline import Deadline
from actors.database.failure import Failures, Place, explain_parameters
from actors.database.image import CommitPages, PageImage
from actors.database.plan import Plan, Planner
from actors.database.row import RowReader
from actors.database.statement import Batch, BatchResult, Statement, StatementResult
from actors.database.system import SystemSql
from actors.database.vfs import ImageFile
from actors.errors import DatabaseBroken, SqlError, TransactionEnded
from actors.settings import DatabaseSettings
from storage.clock import SystemClock

T = TypeVar("T")

PLANS_MAX = 128


class Database:
    """An open database. Use `Database.open`; after DatabaseBroken only `close` is of use."""

    def __init__(
        self, file: ImageFile, settings: DatabaseSettings, *, read_only: bool, now: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._read_only = read_only
        self._deadline = Deadline(settings.statement_deadline_s, now)
        self._broken: str | None = None
        self._inserted = False
        self._connect(file)

    @classmethod
    def open(
        cls,
        image: PageImage,
        settings: DatabaseSettings,
        *,
        read_only: bool = False,
        now: Callable[[], float] | None = None,
    ) -> Database:
        """Open `image`, which from here on belongs to the database. `now`: a monotonic clock in seconds.

        Raises DatabaseBroken if the image is no database.
        """
        return cls(ImageFile(image), settings, read_only=read_only, now=now or SystemClock().now)

    def execute(
        self,
        batch: Batch,
        *,
        budget_s: float | None = None,
        extra: Callable[[SystemSql, BatchResult], None] | None = None,
    ) -> BatchResult:
        """Run a batch as one transaction. `extra` joins it with system SQL just before the commit, given the
        batch's results so far.

        Raises BudgetExceeded when `budget_s` seconds ran out, a DatabaseError otherwise; nothing of the batch is kept.
        """
        if self._broken is not None:
            raise DatabaseBroken(f"the database is no longer usable: {self._broken}")
        statements = batch.statements
        if extra is None and len(statements) == 1:
            statement = statements[0]
            plan = self._plans.get(statement.sql) or self._plan_first(statement)
            if plan.alone:
                return self._execute_alone(plan, statement, budget_s)
        return self._execute_together(batch, budget_s, extra)

    def system(self, work: Callable[[SystemSql], T]) -> T:
        """Run internal SQL, unguarded, in a transaction of its own. Its errors roll everything back."""
        if self._broken is not None:
            raise DatabaseBroken(f"the database is no longer usable: {self._broken}")
        try:
            self._connection.begin()
            answer = self._connection.unguarded(work)
            schema = self._connection.read_schema()
            self._connection.commit()
        except BaseException as error:
            self._schema_touched = True
            self._undo()
            self._fail(error, Place())
        if self._connection.schema is not schema:
            self._connection.schema = schema
            self._forget_plans()
        return answer

    def take_commit(self) -> CommitPages | None:
        """Pages that committed since the last take, as one commit; None if none changed."""
        return self._file.take()

    def copy_image(self) -> PageImage:
        """A snapshot of the last commit, at pointer cost. Not while a call runs."""
        return self._file.image.copy()

    def replace(self, image: PageImage) -> CommitPages:
        """Put another image in the place of this one; all its pages are one commit. Raises DatabaseBroken."""
        if image.page_size != self._file.page_size:
            raise ValueError(f"page size {image.page_size}, the database has {self._file.page_size}")
        self._disconnect()
        self._connect(ImageFile(image))
        return image.as_commit()

    def interrupt(self) -> None:
        """End the running statement, from any thread; it raises ActivationEnded."""
        if self._broken != "closed":
            self._connection.apsw.interrupt()

    def close(self) -> None:
        """Free what SQLite holds. The image stays as it is."""
        if self._broken != "closed":
            self._broken = "closed"
            self._disconnect()

    @property
    def memory_bytes(self) -> int:
        """Bytes that this database keeps in memory: its pages, and what SQLite holds besides."""
        return self._file.image.byte_size + self._connection.bytes_used()

    @property
    def file(self) -> ImageFile:
        """The file under the database (`veto` refuses commits in tests)."""
        return self._file

    # -- one statement

    def _execute_alone(self, plan: Plan, statement: Statement, budget_s: float | None) -> BatchResult:
        if self._inserted:
            self._connection.apsw.set_last_insert_rowid(0)
            self._inserted = False
        self._deadline.begin_alone(budget_s)
        pending = self._file.pending
        try:
            result = self._run(plan, statement.sql, statement.params, 0)
        except BaseException as error:
            self._roll_back()
            if self._file.pending is not pending:
                self._broken = "a statement failed and was kept in part"
            self._fail(error, Place(statement, statement.sql, plan.names))
        return BatchResult([result], self._file.pending is None)

    def _run(self, plan: Plan, sql: str, params: object, index: int) -> StatementResult:
        if (len(params) if params else 0) != plan.parameters:  # type: ignore[arg-type]
            raise explain_parameters(params, plan.names, index) or SqlError("wrong number of parameter bindings")
        rows = self._rows.read(sql, params, plan.columns)
        if not plan.changes:
            if plan.touches_schema:
                self._schema_touched = True
                self._forget_plans()
            return StatementResult(plan.columns, rows, 0, None)
        connection = self._connection.apsw
        rowid = connection.last_insert_rowid()
        if rowid:
            self._inserted = True
        return StatementResult(plan.columns, rows, connection.changes(), rowid or None)

    # -- several statements

    def _execute_together(
        self, batch: Batch, budget_s: float | None, extra: Callable[[SystemSql, BatchResult], None] | None
    ) -> BatchResult:
        connection = self._connection
        if len(batch.statements) > self._settings.statements_max:
            raise SqlError(f"{len(batch.statements)} statements, at most {self._settings.statements_max} are allowed")
        connection.apsw.set_last_insert_rowid(0)
        self._inserted = True
        self._at = Place()
        self._schema_touched = False
        self._deadline.begin_batch(budget_s)
        try:
            connection.begin()
            results = [self._run_text(statement, index) for index, statement in enumerate(batch.statements)]
            changed = connection.check_schema()
            if extra is not None:
                self._at = Place()
                connection.unguarded(lambda system: extra(system, BatchResult(results, False)))
            connection.commit()
        except BaseException as error:
            alone = len(batch.statements) == 1 and self._at.sql == batch.statements[0].sql
            ended = not alone and not connection.apsw.in_transaction
            self._undo()
            self._fail(error, self._at, ended=ended)
        if changed is not None:
            connection.schema = changed
            self._plans.clear()
        return BatchResult(results, self._file.pending is None)

    def _run_text(self, statement: Statement, index: int) -> StatementResult:
        """One SQL text inside the open transaction: all statements but its last run without parameters, unanswered."""
        rest, offset, count = statement.sql, 0, 0
        while True:
            self._deadline.begin_statement()
            self._at = Place(statement, rest, (), offset, index)
            plan = self._plans.get(rest) or self._plan(rest, kept=offset == 0)
            if plan.empty:
                raise _no_statement(index)
            self._at = Place(statement, plan.text, plan.names, offset, index)
            result = self._run(plan, plan.text, statement.params if plan.whole else None, index)
            if not self._connection.apsw.in_transaction:
                raise TransactionEnded("a statement ended the transaction", details={"statement": index})
            if plan.whole:
                return result
            count += 1
            if count >= self._settings.statements_max:
                raise SqlError(f"more than {self._settings.statements_max} statements in one SQL text")
            rest = rest[len(plan.text) :]
            offset += len(plan.text.encode())

    # -- inside

    def _plan_first(self, statement: Statement) -> Plan:
        try:
            return self._plan(statement.sql)
        except Exception as error:
            self._fail(error, Place(statement, statement.sql))

    def _plan(self, sql: str, *, kept: bool = True) -> Plan:
        plan = self._planner.plan(sql, cached=kept)
        if plan.alone and plan.changes and self._connection.schema.partial:
            plan = msgspec.structs.replace(plan, alone=False)
        if kept:
            if len(self._plans) >= PLANS_MAX:
                del self._plans[next(iter(self._plans))]
            self._plans[sql] = plan
        return plan

    def _connect(self, file: ImageFile) -> None:
        self._connection = GuardedConnection(file, self._settings, self._deadline, read_only=self._read_only)
        self._file = file
        self._planner = Planner(self._connection.apsw)
        self._rows = RowReader(self._connection.apsw, self._settings)
        self._failures = Failures(self._connection.guard, self._deadline, self._settings)
        self._plans: dict[str, Plan] = {}
        self._inserted = False
        self._schema_touched = False
        self._at = Place()

    def _disconnect(self) -> None:
        self._rows.close()
        self._connection.close()

    def _undo(self) -> None:
        """Roll back, and forget what was learned of a schema that does not stand."""
        self._roll_back()
        if self._schema_touched and self._broken is None:
            self._forget_plans()

    def _forget_plans(self) -> None:
        self._plans.clear()
        self._connection.forget_statements()

    def _roll_back(self) -> None:
        self._rows.abandon()
        try:
            self._connection.roll_back()
        except Exception as error:
            self._broken = f"rolling back failed: {error}"
        if self._file.before:
            self._file.revert()

    def _fail(self, error: BaseException, place: Place, *, ended: bool = False) -> NoReturn:
        """Raise what `error` means to the caller."""
        translated = self._failures.translate(error, place, ended=ended)
        if isinstance(translated, DatabaseBroken):
            self._broken = self._broken or translated.message
        elif self._broken is not None:
            translated = DatabaseBroken(f"the database failed: {self._broken}")
        if translated is error:
            raise translated
        raise translated from error


def _no_statement(index: int) -> SqlError:
    return SqlError("the SQL text holds no statement", details={"statement": index})
