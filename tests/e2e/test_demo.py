"""What scripts/run shows, as a stranger sees it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rerank_ops.demo.data import passages, questions

pytestmark = pytest.mark.e2e


def test_the_demo_walks_the_road_and_leaves_nothing_running(checkout: Path) -> None:
    """Without a terminal: every step is named and timed, most answers are found, all ends up down."""
    done = subprocess.run(
        [sys.executable, "-m", "rerank_ops.demo"],
        cwd=checkout,
        env=os.environ | {"CI": "true"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert questions()[0].text in done.stdout
    answered = re.search(r"answers (\d+) of the 10 questions", done.stdout)
    assert answered is not None
    assert int(answered[1]) >= 6  # one in forty by chance
    assert '{"id":"q01"' in done.stdout
    assert f"{len(questions())} lines; largest difference to the endpoint's scores:" in done.stdout
    assert "Everything was taken down." in done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout / ".rerank" / "local" / "server.json").exists()


def test_the_demos_texts_are_whole() -> None:
    """Some 40 short passages, 10 questions, each answered by passages that exist."""
    ids = [passage.id for passage in passages()]

    assert 40 <= len(set(ids)) == len(ids) <= 45
    assert len(questions()) == 10
    assert all(set(question.relevant) <= set(ids) for question in questions())
    assert all(100 <= len(passage.text) <= 300 for passage in passages())
