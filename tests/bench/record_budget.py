"""`python -m tests.bench.record_budget`: count the calls of a request now and write them down as the budget."""

from __future__ import annotations

import json

import uvloop

from tests.bench.budget import FILE, VERSION, count_now


def main() -> None:
    """Adds or replaces this Python version's budget."""
    budgets = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    budgets[VERSION] = uvloop.run(count_now())
    FILE.write_text(json.dumps(budgets, indent=2, sort_keys=True) + "\n", "utf-8")
    print(f"{FILE.name}: {VERSION}: {budgets[VERSION]}")


if __name__ == "__main__":
    main()
