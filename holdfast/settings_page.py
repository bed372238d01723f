"""docs/settings.md, generated from the settings themselves: `python -m holdfast.settings_page > docs/settings.md`."""

from __future__ import annotations

from itertools import groupby

from holdfast.setting import Setting
from holdfast.setting_words import DEFAULT_WORDS, SECTION_TITLES, WORDS
from holdfast.settings import Settings

INTRODUCTION = """\
# Settings

Every setting is an environment variable; flags of `holdfast serve` are stronger. `holdfast config show` prints the
values in force and where each came from. An unknown `HOLDFAST_…` variable is warned about, a wrong value refuses to
start.
Credentials of S3 and R2 are found by boto3's own chain (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, profiles, roles).

Commands that talk to a running service find it by `HOLDFAST_URL`, else by the configured host and port.

This page is generated (`make docs`).
"""


def settings_page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for section, rows in groupby(Settings().rows(), key=lambda row: row[0].section):
        parts.append(f"## {SECTION_TITLES[section]}\n")
        parts.append("| variable | default | expects | meaning |\n|---|---|---|---|")
        parts.append("\n".join(_row(setting, value) for setting, value, _ in rows) + "\n")
    return "\n".join(parts)


def _row(setting: Setting, value: str) -> str:
    default = DEFAULT_WORDS.get(setting.variable) or (f"`{value}`" if value else "")
    return f"| `{setting.variable}` | {default} | {setting.expects()} | {WORDS[setting.variable]} |"


if __name__ == "__main__":
    print(settings_page(), end="")
