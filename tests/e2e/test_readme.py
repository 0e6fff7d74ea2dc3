"""The README says what is so: its tables are current; what it and the guides show for this machine works as shown."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from rerank_ops.readme import README, refreshed

TEXT = README.read_text(encoding="utf-8")
GUIDES = sorted((README.parent / "docs").rglob("*.md"))


def test_the_readmes_tables_are_current() -> None:
    """Commands and settings are listed as they are; `python -m rerank_ops.readme` writes them anew."""
    assert refreshed(TEXT) == TEXT


def test_the_first_screen_has_the_problem_the_code_and_the_two_commands() -> None:
    """What a stranger sees without scrolling."""
    screen = "\n".join(TEXT.splitlines()[:32])

    assert "RerankClient(" in screen
    assert "scripts/run" in screen
    assert "cdk deploy --all -c deployment=sandbox" in screen


def test_every_path_the_readme_names_exists() -> None:
    """A map of places that are there."""
    named = re.findall(r"`((?:infra|inference|packaging|client|scripts|tests)/[\w./-]*)`", TEXT)

    assert len(named) > 3
    assert [] == [path for path in named if not (README.parent / path).exists()]


@pytest.mark.e2e
def test_the_readmes_commands_for_this_machine_work(checkout: Path) -> None:
    """Run in one shell, in order, in a copy of the checkout; then the first screen's Python and the guides' blocks."""
    shell = blocks("bash local")
    [program] = blocks("python local")
    guides = [block for page in GUIDES for block in blocks("bash local", page.read_text(encoding="utf-8"))]
    (checkout / "first_screen.py").write_text(program, encoding="utf-8")
    before_down = shell[-1].index("rerank local down")
    steps = [*shell[:-1], shell[-1][:before_down], "python first_screen.py\n", *guides, shell[-1][before_down:]]
    script = "set -euo pipefail\ntrap 'rerank local down' EXIT\n" + "\n".join(steps)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=checkout,
        env=os.environ | {"CI": "true"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert '{"id":1,"model":"rerank-demo"' in done.stdout
    assert re.search(r'\{"id":2,"error":".*documents', done.stdout)
    assert re.search(r"^0\.\d{4}  (Asynchronous endpoints|Real-time endpoints)", done.stdout, re.MULTILINE)
    assert re.search(r'^\{"id":"q7","SageMakerOutput":\{.*"results":', done.stdout, re.MULTILINE)
    assert not (checkout / ".rerank" / "local" / "server.json").exists()


def blocks(language: str, text: str = TEXT) -> list[str]:
    """The fenced blocks of a language in a page, by default the README, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
