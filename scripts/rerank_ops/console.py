"""What a person and a program read: results on stdout, talk on stderr.

Tables are drawn by rich, and plainly where it is not installed; `emit` writes JSON for programs. Nothing colours or
moves when the stream is not a terminal.
"""

import json
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterable, Sequence
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 132  # columns of a table that no terminal limits


def json_option(parser: ArgumentParser) -> None:
    """Adds `--json`, the flag under which a command writes one JSON value to stdout and no table."""
    parser.add_argument("--json", action="store_true", help="write JSON to stdout instead of a table")


def at_least(low: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number of at least `low`; argparse shows the error with the usage."""

    def whole(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low:
            raise ArgumentTypeError(f"{text!r} is not a whole number of at least {low}")
        return value

    return whole


def talk(text: str = "") -> None:
    """One line for the person: progress, explanations."""
    print(text, file=sys.stderr, flush=True)


def error(message: str, tip: str | None = None) -> None:
    """ERROR and TIP, as every command ends when it fails."""
    _labelled("ERROR", "bold red", message)
    if tip:
        _labelled("TIP", "bold cyan", tip)


def warn(message: str) -> None:
    """Something the person should know; the command goes on."""
    _labelled("WARN", "bold yellow", message)


def emit(value: Any) -> None:
    """One JSON value on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str), flush=True)


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """A table on stdout; columns whose every cell is a number are aligned right."""
    cells = [[_cell(value) for value in row] for row in rows]
    try:
        from rich import box
        from rich.table import Table
        from rich.text import Text
    except ModuleNotFoundError:  # the extra `client` alone is enough to ask an endpoint
        print("\n".join(plain(headers, cells, title=title)), flush=True)
        return
    drawn = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for position, header in enumerate(headers):
        numeric = bool(cells) and all(_is_number(row[position]) for row in cells)
        drawn.add_column(header, justify="right" if numeric else "left", no_wrap=numeric, overflow="fold")
    for row in cells:
        drawn.add_row(*(Text(cell) for cell in row))
    _console(sys.stdout).print(drawn)


def plain(headers: Sequence[str], cells: Sequence[Sequence[str]], *, title: str | None = None) -> list[str]:
    """The lines of a table without rich: columns two blanks apart. Pure."""
    widths = [max(len(row[place]) for row in (headers, *cells)) for place in range(len(headers))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in (headers, *cells)]
    return [*([title] if title else []), *(line.rstrip() for line in lines)]


def is_terminal(stream: IO[str]) -> bool:
    """Whether bars and colours make sense on `stream`: a terminal, and not a CI log."""
    return stream.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


def _labelled(label: str, style: str, message: str) -> None:
    try:
        from rich.text import Text
    except ModuleNotFoundError:
        talk(f"{label} {message}")
        return
    _console(sys.stderr).print(Text.assemble((label, style), " ", message), soft_wrap=True)


def _console(stream: IO[str]) -> "Console":
    from rich.console import Console

    terminal = is_terminal(stream)
    return Console(file=stream, force_terminal=terminal, width=None if terminal else PIPE_WIDTH, highlight=False)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "" if value is None else str(value)


def _is_number(text: str) -> bool:
    try:
        float(text.rstrip("%").replace(",", ""))
    except ValueError:
        return text == ""
    return True
