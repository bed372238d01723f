"""docs/errors.md, generated from the gateway's table: `python -m holdfast.errors_page > docs/errors.md`."""

from __future__ import annotations

from gateway.problems import TABLE

INTRODUCTION = """\
# Errors over HTTP

An error is `application/problem+json` with `type`, `title`, `status`, `code`, `detail`, `retryable`, `request_id` and,
for some, `details`. Programs go by `code`. `retryable` says that the same request may succeed later without harm; such
answers carry `Retry-After`. `outcome_unknown` is not retryable: the write ran, and nobody can say whether it survived.
A write with an `Idempotency-Key` may always be sent again.

This page is generated (`make docs`).

| status | code | means |
|---|---|---|
"""


def errors_page() -> str:
    """The whole page."""
    return INTRODUCTION + "".join(f"| {row.status} | `{code}` | {row.title.lower()} |\n" for code, row in TABLE.items())


if __name__ == "__main__":
    print(errors_page(), end="")
