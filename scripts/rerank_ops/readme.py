"""Generated tables of the README and of docs/reference.

`python -m rerank_ops.readme` writes them anew, tests hold them current.
"""

import argparse
import re
import sys
from pathlib import Path

from rerank_infra import keys
from rerank_ops import cli
from rerank_ops.commands.settings import markdown

README = Path(__file__).resolve().parents[2] / "README.md"
DEPLOYMENT = README.parent / "docs" / "reference" / "deployment.md"


def refreshed(text: str) -> str:
    """`text` with the tables between `<!-- name -->` and `<!-- end -->` as they should be now. Pure."""
    for name, table in (("commands", commands_table()), ("settings", markdown()), ("deployment", keys.markdown())):
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = pattern.sub(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", text)  # type: ignore[misc]
    return text


def commands_table() -> str:
    """Every command with its one line of help."""
    parser = cli.build_parser(cli.discover())
    [listed] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    rows = [f"| `rerank {choice.dest}` | {choice.help} |" for choice in listed._choices_actions]
    return "\n".join(("| command | what it does |", "| --- | --- |", *rows))


if __name__ == "__main__":
    for page in (README, DEPLOYMENT):
        page.write_text(refreshed(page.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(0)
