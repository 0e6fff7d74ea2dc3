"""Looking at processes by id."""

import os
import subprocess
from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether a process exists and has not ended; reaps it when it is a child of ours."""
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except (ChildProcessError, OSError):
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _awaits_its_parent(pid)


def _awaits_its_parent(pid: int) -> bool:
    """Whether a process has ended and its parent, init for orphans, has not yet asked how (Linux)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state == "Z"


def command_of(pid: int) -> str:
    """The command line of a process; empty when it is gone."""
    shown = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()
