"""Looking at processes by id, on Linux through /proc and elsewhere through ps."""

import os
import subprocess
from pathlib import Path

_PROC = Path("/proc")


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
    return True


def command_of(pid: int) -> str:
    """The command line of a process; empty when it is gone."""
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        pass
    if _PROC.is_dir():
        return ""
    shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout


def strays(work: Path) -> list[int]:
    """Model processes whose folder (SAGEMAKER_BASE_DIR) is under `work`; none where /proc does not exist."""
    if not _PROC.is_dir():
        return []
    marker = f"SAGEMAKER_BASE_DIR={work.resolve()}{os.sep}".encode()
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                variables = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(variable.startswith(marker) for variable in variables):
                found.append(int(entry.name))
    return found
