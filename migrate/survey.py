"""Looking without touching: what a migration would do with a user, and whether one that was moved is well.

`plan` inspects the files as the seal would. `verify` rebuilds actors from the bucket alone, as recovery does:
integrity, generation, and that the sealed file is still what the cut-over left; while nothing has been written since,
also that both hold the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.durability.recovery import recover
from migrate.comparison import digest_file
from migrate.errors import MigrationError, NotVerified, Quarantined
from migrate.finalization import Finalization
from migrate.imaging import inspect_file
from migrate.parts import MigrationParts
from migrate.profile_finder import databases_of
from migrate.verification import verify_rows
from storage.errors import CorruptObject, LogGap
from storage.layout.address import Address
from storage.layout.keys import database_key
from storage.log.record import Kind
from storage.r2_sqlite.file_state import FileState, Mode, read_state, tombstone_body

# Round trips between seal and cut-over: three looks, import, snapshot and hint, two records, the swap.
ROUND_TRIPS = 20


@dataclass(frozen=True, slots=True)
class ProfileSurvey:
    """One profile. `problem` is empty where all is well; `pause_s` is what a cut-over would roughly cost in writes
    that wait, None where none is due. Sizes in bytes."""

    user: str
    profile: str
    state: str
    gen: int
    size: int
    tables: int
    problem: str = ""
    code: str = ""
    pause_s: float | None = None


async def plan_user(parts: MigrationParts, user: str) -> list[ProfileSurvey]:
    """What there is to move of a user, as far as it can be said without writing."""
    found = []
    for profile, info in (await databases_of(parts.store, parts.env, user)).items():
        before = parts.clock.now()
        body = (await parts.store.get(database_key(parts.env, Address.parse(user, profile)))).body
        trip_s = parts.clock.now() - before
        try:
            inspection = await parts.offload(inspect_file, body, parts.database)
        except Quarantined as error:
            reason = str(error.details.get("reason", error.code))
            found.append(ProfileSurvey(user, profile, "odd", 0, info.size, 0, error.message, reason))
            continue
        state = inspection.state
        due = state.state in (Mode.OPEN, Mode.SEALING)
        found.append(
            ProfileSurvey(
                user,
                profile,
                state.state.value,
                state.gen,
                info.size,
                inspection.tables,
                pause_s=ROUND_TRIPS * trip_s if due else None,
            )
        )
    return found


async def verify_user(parts: MigrationParts, user: str) -> list[ProfileSurvey]:
    """Every profile of a user, looked at with nothing but the bucket. Problems are told, not raised."""
    found = []
    for profile, info in (await databases_of(parts.store, parts.env, user)).items():
        address = Address.parse(user, profile)
        body = (await parts.store.get(database_key(parts.env, address))).body
        state, tables, problem, code = FileState(), 0, "", ""
        try:
            state = read_state(body)
            tables = await _verify(parts, address, body, state)
        except (MigrationError, CorruptObject, LogGap) as error:
            problem, code = error.message, error.code
        found.append(ProfileSurvey(user, profile, state.state.value, state.gen, info.size, tables, problem, code))
    try:
        await Finalization(parts, user).check()
    except MigrationError as error:
        found.append(ProfileSurvey(user, "*", "", 0, 0, 0, error.message, error.code))
    return found


async def _verify(parts: MigrationParts, address: Address, body: bytes, state: FileState) -> int:
    """Number of tables. Raises what is wrong."""
    if state.state in (Mode.OPEN, Mode.SEALING):
        return (await parts.offload(inspect_file, body, parts.database)).tables
    log = parts.log_of(address)
    recovered = await recover(log, await log.listing())
    if recovered.state.life is not Kind.IMPORT and body == tombstone_body(state):
        return 0  # deleted (rule 21), or not opened yet (rule 22)
    if recovered.image is None or recovered.state.life is not Kind.IMPORT:
        raise NotVerified(f"{address}: the log holds no database")
    served = state.gen if state.state is Mode.ACTOR else state.gen - 1
    if recovered.state.gen != served:
        raise NotVerified(f"{address}: the log has generation {recovered.state.gen}, the file {served}")
    if recovered.state.open is None and state.state is Mode.ACTOR and body != tombstone_body(state):
        # The import was of the sealing file: same data and ring, other state and nonce. Rows are what counts here.
        return len((await parts.offload(verify_rows, body, recovered.image.to_bytes())).tables)
    digest = await parts.offload(digest_file, recovered.image.to_bytes())
    if digest.integrity:
        raise NotVerified(f"{address}: integrity_check of the log's image: {'; '.join(digest.integrity)}")
    return len(digest.tables)
