"""Layout moves: flat to profiled, media into projects. docs/layout-migration.md is the runbook."""
