"""Print the table of options, or write it into the documentation.

``python scripts/options_table.py`` prints it; with ``--write``, docs/options.md gets it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.adapter.settings import OPTIONS

if TYPE_CHECKING:
    from penstock.adapter.settings import Option

PAGE = Path(__file__).resolve().parent.parent / "docs" / "options.md"
BEGIN = "<!-- The table is printed by scripts/options_table.py. -->"
END = "<!-- End of the table. -->"


def table() -> str:
    """Return the Markdown table, one line an option."""
    rows = ["| Option | Variable | Default | Meaning |", "|---|---|---|---|"]
    rows += [
        f"| `{option.name}` | `{option.variable}` | {default(option)} | {option.meaning} |"
        for option in OPTIONS
    ]
    return "\n".join(rows)


def default(option: Option) -> str:
    """Return the default as one writes it; collections that are empty, and None, are unset."""
    value = option.default
    if value is None or value in ({}, frozenset(), ""):
        return "unset"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def page(text: str) -> str:
    """Return the page with the table as it should be."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def main() -> None:
    """Print the table, or with ``--write`` put it into its page."""
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(table())


if __name__ == "__main__":
    main()
