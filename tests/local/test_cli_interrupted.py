"""An interrupted command takes the programs it started with it."""

import os
import sys
from pathlib import Path

import pytest

from rerank_local.cdk_cli import Cli, Node
from rerank_local.processes import is_running


def test_the_cdk_cli_ends_with_the_command_that_was_interrupted(tmp_path: Path) -> None:
    """Else it would go on deploying for minutes into an AWS that is gone."""
    script = tmp_path / "cdk"
    script.write_text("import os, threading\nprint(os.getpid(), flush=True)\nthreading.Event().wait(120)\n")
    python = Path(sys.executable)
    pids: list[int] = []

    def interrupt(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Cli(Node(python, python, 22), script).run(["deploy"], env=os.environ, cwd=tmp_path, say=interrupt)

    assert [False] == [is_running(pid) for pid in pids]
