"""rerank settings: every knob of the engine, with its unit, bounds and meaning."""

import argparse
from typing import TYPE_CHECKING, Any

from rerank_ops import console

if TYPE_CHECKING:
    from rerank_engine.settings import Knob

HEADERS = ("setting", "default", "meaning")


def add_parser(subparsers: Any) -> None:
    """Declares the command."""
    parser = subparsers.add_parser(
        "settings",
        help="list the engine's settings",
        description="Every setting of the engine: environment variables of the container, keys of [settings] in a "
        "deployment's file, and --setting of `rerank package`.",
    )
    parser.add_argument("--markdown", action="store_true", help="as the table of the README")
    console.json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the settings."""
    from dataclasses import asdict

    from rerank_engine.settings import knobs

    if args.json:
        console.emit([asdict(knob) | {"type": knob.type.__name__} for knob in knobs()])
    elif args.markdown:
        print(markdown())
    else:
        console.table(HEADERS, [(knob.env, default(knob), meaning(knob)) for knob in knobs()])
    return 0


def markdown() -> str:
    """The table of the README."""
    from rerank_engine.settings import knobs

    rows = [(f"`{knob.env}`", default(knob), meaning(knob)) for knob in knobs()]
    return "\n".join("| " + " | ".join(row) + " |" for row in (HEADERS, ("---",) * len(HEADERS), *rows))


def default(knob: "Knob") -> str:
    """The default as one writes it, with its unit."""
    value = str(knob.default).lower() if knob.type is bool else str(knob.default)
    return f"{value} {knob.unit}".strip() or "(empty)"


def meaning(knob: "Knob") -> str:
    """What it does, and the values it takes."""
    if knob.choices:
        return f"{knob.doc} One of {', '.join(knob.choices)}."
    if knob.low is None and knob.high is None:
        return knob.doc
    return f"{knob.doc} {bound(knob.low)} to {bound(knob.high)}."


def bound(value: float | None) -> str:
    """A bound as one reads it."""
    return "…" if value is None else f"{value:,.10g}"
