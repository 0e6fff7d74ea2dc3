"""Every `rerank …` that a tip, a help text, a docstring or a page names can be typed."""

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rerank_ops import cli

ROOT = Path(__file__).parents[2]
ROOMS = ("scripts", "client", "training", "infra", "packaging", "inference")
PAGES = ("*.md", "*.toml")
PROSE = ("rerank files in S3",)  # the verb, where a text begins with it
# Where a command is named: in backticks, after $( or a colon, or where a line or text begins.
NAMED = re.compile(r"(?:`|\$\(|: |; |&& |^[ \"'(]*)(?P<command>rerank [a-z][^\n`|;&#]*)", re.MULTILINE)
WORD = re.compile(r"[a-z][a-z-]*")


def strings(path: Path) -> Iterator[str]:
    """The texts of a Python file, each in one piece; values that are put in at run time stand as {}."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    pieces = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in pieces:
            yield node.value


def texts() -> Iterator[tuple[Path, str]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "cdk.out" not in path.parts:
                yield from ((path, text) for text in strings(path))
    pages = [ROOT / "README.md", ROOT / "scripts" / "run", ROOT / "scripts" / "test"]
    pages += sorted((ROOT / "docs").rglob("*.md"))
    pages += [path for room in ROOMS for pattern in PAGES for path in sorted((ROOT / room).rglob(pattern))]
    yield from ((path, path.read_text(encoding="utf-8")) for path in pages)


def named() -> dict[str, list[str]]:
    """Each command line that is named → the files it stands in."""
    found: dict[str, list[str]] = {}
    for path, text in texts():
        for match in NAMED.finditer(text):
            if not match["command"].startswith(PROSE):
                found.setdefault(match["command"].strip(), []).append(str(path.relative_to(ROOT)))
    return found


def choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The subcommands of a parser, by name."""
    return {
        name: child
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for name, child in action.choices.items()
    }


def problem(command: str, parser: argparse.ArgumentParser) -> str | None:
    """What of a command line does not exist: its command, its verb, a flag; None when all of it does."""
    words = command.partition(": ")[0].split()[1:]  # behind a colon: what the command does
    while words and (known := choices(parser)):
        name = words.pop(0).rstrip(".,:)\"'")
        if name not in known:
            return f"no {name!r}" if WORD.fullmatch(name) else None
        parser = known[name]
    flags = {flag for action in parser._actions for flag in action.option_strings}
    unknown = [flag for flag in re.findall(r"(?<!\S)--[a-z][a-z-]*", command.partition(" -- ")[0]) if flag not in flags]
    return f"no {', '.join(unknown)}" if unknown else None


def test_every_command_that_is_named_exists() -> None:
    """With its verb and its flags: nobody types what a tip says and reads "invalid choice"."""
    parser = cli.build_parser(cli.discover())
    found = named()
    wrong = {
        f"{command} ({', '.join(files)})": said
        for command, files in found.items()
        if (said := problem(command, parser))
    }

    assert {} == wrong
    assert len(found) > 100


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("rerank local deploy", "no 'deploy'"),
        ("rerank local up", None),
        ("rerank local", None),
        ("rerank deploy --all", "no 'deploy'"),
        ("rerank transform start x --follow --quickly", "no --quickly"),
        ("rerank train --on sagemaker -- distill pairs --steps 3", None),
    ],
)
def test_what_does_not_exist_is_found(command: str, said: str | None) -> None:
    """Commands, verbs, flags."""
    assert said == problem(command, cli.build_parser(cli.discover()))
