"""The application's statements, each in both dialects, and the request bodies that carry them. Pure.

The two texts of a statement ask for the same rows in the same order and write the same values.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from bench.workload.dialect import Dialect

Params = Sequence[object]


@dataclass(frozen=True, slots=True)
class Statement:
    """`shared` has the user as $1 and the parameters of `per_user` from $2 on."""

    per_user: str
    shared: str

    def text(self, dialect: Dialect) -> str:
        return self.per_user if dialect is Dialect.PER_USER else self.shared


def one(statement: Statement, params: Params, dialect: Dialect) -> bytes:
    """Body of a request with one statement."""
    return json.dumps({"sql": statement.text(dialect), "params": list(params)}).encode()


def transaction(steps: Sequence[tuple[Statement, Params]], dialect: Dialect) -> bytes:
    """Body of a request with several statements that run as one transaction."""
    statements = [{"sql": statement.text(dialect), "params": list(params)} for statement, params in steps]
    return json.dumps({"statements": statements}).encode()


READ_GAME = Statement(
    "SELECT id, name, video_path, duration, opponent_name, game_date FROM games WHERE id = ?",
    "SELECT id, name, video_path, duration, opponent_name, game_date FROM games WHERE user_id = $1 AND id = $2",
)
LIST_GAMES = Statement(
    "SELECT id, name, opponent_name, game_date, game_type, duration FROM games ORDER BY game_date DESC, id LIMIT 50",
    "SELECT id, name, opponent_name, game_date, game_type, duration FROM games WHERE user_id = $1 "
    "ORDER BY game_date DESC, id LIMIT 50",
)
LIST_CLIPS = Statement(
    "SELECT id, video_path, start_time, end_time, rating, tags, notes FROM raw_clips WHERE game_id = ? "
    "ORDER BY start_time LIMIT 25",
    "SELECT id, video_path, start_time, end_time, rating, tags, notes FROM raw_clips WHERE user_id = $1 "
    "AND game_id = $2 ORDER BY start_time LIMIT 25",
)
READ_PROJECT = Statement(
    "SELECT p.name, p.aspect_ratio, p.has_overlay_edits, w.id, w.clip_index, w.crop_keyframes, c.video_path "
    "FROM projects p JOIN working_clips w ON w.project_id = p.id JOIN raw_clips c ON c.id = w.raw_clip_id "
    "WHERE p.id = ? ORDER BY w.clip_index",
    "SELECT p.name, p.aspect_ratio, p.has_overlay_edits, w.id, w.clip_index, w.crop_keyframes, c.video_path "
    "FROM projects p JOIN working_clips w ON w.user_id = p.user_id AND w.project_id = p.id "
    "JOIN raw_clips c ON c.user_id = w.user_id AND c.id = w.raw_clip_id "
    "WHERE p.user_id = $1 AND p.id = $2 ORDER BY w.clip_index",
)
INSERT_CLIP = Statement(
    "INSERT INTO raw_clips (game_id, video_path, start_time, end_time, rating, tags, notes) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)",
    "INSERT INTO raw_clips (user_id, game_id, video_path, start_time, end_time, rating, tags, notes) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
)
UPDATE_KEYFRAMES = Statement(
    "UPDATE working_clips SET crop_keyframes = ? WHERE id = ?",
    "UPDATE working_clips SET crop_keyframes = $2 WHERE user_id = $1 AND id = $3",
)
CLEAR_REGIONS = Statement(
    "DELETE FROM highlight_regions WHERE project_id = ?",
    "DELETE FROM highlight_regions WHERE user_id = $1 AND project_id = $2",
)
INSERT_REGION = Statement(
    "INSERT INTO highlight_regions (project_id, start_frame, end_frame, x, y, radius_x, radius_y) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)",
    "INSERT INTO highlight_regions (user_id, project_id, start_frame, end_frame, x, y, radius_x, radius_y) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
)
MARK_OVERLAY = Statement(
    "UPDATE projects SET has_overlay_edits = 1, updated_at = ? WHERE id = ?",
    "UPDATE projects SET has_overlay_edits = 1, updated_at = $2 WHERE user_id = $1 AND id = $3",
)
# One row of one page is touched: what a flush of the smallest write has to carry.
TOUCH_GAME = Statement(
    "UPDATE games SET updated_at = ? WHERE id = ?",
    "UPDATE games SET updated_at = $2 WHERE user_id = $1 AND id = $3",
)
