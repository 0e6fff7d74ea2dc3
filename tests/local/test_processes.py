"""Looking at processes by id."""

import subprocess
import sys
import threading
import time

import pytest

from rerank_local.processes import is_running

NEGLIGENT = "import subprocess, sys; print(subprocess.Popen(['true']).pid, flush=True); sys.stdin.read()"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_that_its_parent_did_not_ask_after_has_ended() -> None:
    """A killed server's children are orphans: they may stay in the table for as long as init takes."""
    with subprocess.Popen(
        [sys.executable, "-c", NEGLIGENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid, pause, deadline = int(parent.stdout.readline()), threading.Event(), time.monotonic() + 20
        while is_running(pid) and time.monotonic() < deadline:
            pause.wait(0.02)

        assert not is_running(pid)
        assert is_running(parent.pid)
        parent.communicate()
    assert not is_running(parent.pid)
