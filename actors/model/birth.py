"""What a new database begins with, and what an old one is brought up to: the built-in migrations."""

from __future__ import annotations

from actors.database.database import Database
from actors.database.image import PageImage
from actors.database.schema import apply_schema as apply_migrations
from actors.database.schema import built_in_migrations, new_database_image
from actors.settings import DatabaseSettings


def template_image(settings: DatabaseSettings) -> PageImage:
    """The image of a new database: system tables and the built-in schema."""
    return new_database_image(settings, built_in_migrations())


def apply_schema(database: Database, *, now: float) -> int:
    """Bring a database up to date; how many migrations ran. `now`: Unix seconds. Raises SchemaFailed."""
    return apply_migrations(database, built_in_migrations(), at=now)
