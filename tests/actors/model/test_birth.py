"""What a new database begins with."""

from __future__ import annotations

from actors.database.database import Database
from actors.model.birth import apply_schema, template_image
from actors.settings import DatabaseSettings

SETTINGS = DatabaseSettings()


def test_every_new_database_begins_with_the_same_bytes_and_owns_its_copy() -> None:
    one, two = template_image(SETTINGS), template_image(SETTINGS)
    assert one.pages == two.pages and one.pages is not two.pages


def test_a_new_database_needs_no_migration() -> None:
    database = Database.open(template_image(SETTINGS), SETTINGS)
    assert apply_schema(database, now=0.0) == 0 and database.take_commit() is None
    database.close()


def test_the_page_size_is_the_settings() -> None:
    assert template_image(DatabaseSettings(page_size=1024)).page_size == 1024
