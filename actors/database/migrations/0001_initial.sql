CREATE TABLE IF NOT EXISTS games (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  video_path TEXT,
  thumbnail_path TEXT,
  duration REAL,
  fps REAL,
  width INTEGER,
  height INTEGER,
  opponent_name TEXT,
  game_date TEXT,
  game_type TEXT DEFAULT 'away',
  tournament_name TEXT,
  created_at TEXT DEFAULT (datetime('now')),
  updated_at TEXT DEFAULT (datetime('now'))
);

CREATE TABLE IF NOT EXISTS raw_clips (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  game_id INTEGER NOT NULL,
  video_path TEXT NOT NULL,
  start_time REAL NOT NULL,
  end_time REAL NOT NULL,
  rating INTEGER DEFAULT 3,
  tags TEXT DEFAULT '[]',
  notes TEXT,
  thumbnail_path TEXT,
  created_at TEXT DEFAULT (datetime('now')),
  FOREIGN KEY (game_id) REFERENCES games(id) ON DELETE CASCADE
);

CREATE TABLE IF NOT EXISTS projects (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  aspect_ratio TEXT DEFAULT '9:16',
  output_width INTEGER DEFAULT 1080,
  output_height INTEGER DEFAULT 1920,
  is_auto_created INTEGER DEFAULT 0,
  working_video_path TEXT,
  has_working_video INTEGER DEFAULT 0,
  has_overlay_edits INTEGER DEFAULT 0,
  has_final_video INTEGER DEFAULT 0,
  created_at TEXT DEFAULT (datetime('now')),
  updated_at TEXT DEFAULT (datetime('now')),
  last_opened_at TEXT
);

CREATE TABLE IF NOT EXISTS working_clips (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  project_id INTEGER NOT NULL,
  raw_clip_id INTEGER NOT NULL,
  clip_index INTEGER NOT NULL,
  crop_keyframes TEXT DEFAULT '[]',
  is_exported INTEGER DEFAULT 0,
  exported_path TEXT,
  created_at TEXT DEFAULT (datetime('now')),
  FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE,
  FOREIGN KEY (raw_clip_id) REFERENCES raw_clips(id)
);

CREATE TABLE IF NOT EXISTS highlight_regions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  project_id INTEGER NOT NULL,
  start_frame INTEGER NOT NULL,
  end_frame INTEGER NOT NULL,
  x REAL NOT NULL,
  y REAL NOT NULL,
  radius_x REAL NOT NULL,
  radius_y REAL NOT NULL,
  opacity REAL DEFAULT 1.0,
  color TEXT DEFAULT '#ffffff',
  created_at TEXT DEFAULT (datetime('now')),
  FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE
);

CREATE TABLE IF NOT EXISTS final_videos (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  project_id INTEGER,
  game_id INTEGER,
  name TEXT NOT NULL,
  video_path TEXT NOT NULL,
  thumbnail_path TEXT,
  source_type TEXT NOT NULL,
  duration REAL,
  file_size INTEGER,
  created_at TEXT DEFAULT (datetime('now')),
  FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE SET NULL,
  FOREIGN KEY (game_id) REFERENCES games(id) ON DELETE SET NULL
);
