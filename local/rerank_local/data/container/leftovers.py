"""Model processes that outlived the local AWS, because it was killed instead of stopped.

Each process leaves a note beside its log while it runs: its id and what it runs. `stop_leftovers` ends those that still
run the very thing; a process id that meanwhile means something else is left alone.
"""

import contextlib
import os
import signal
import subprocess
from pathlib import Path


def note(log: Path, pid: int, argv: tuple[str, ...]) -> Path:
    """Writes down that `pid` runs `argv`; returns the note, to be removed when the process has ended."""
    path = log.with_suffix(".pid")
    path.write_text(f"{pid}\n{argv[-1]}\n", encoding="utf-8")
    return path


def stop_leftovers(log_dir: Path) -> list[int]:
    """Kills the processes that notes below `log_dir` tell of, and removes the notes; the ids that were killed.

    Only for when no fleet runs on `log_dir`: it would kill that fleet's processes too.
    """
    killed = []
    for path in sorted(log_dir.rglob("*.pid")):
        first, _, rest = path.read_text(encoding="utf-8").partition("\n")
        script = rest.strip()
        if first.isdigit() and script and script in _command_line(int(first)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(int(first), signal.SIGKILL)
                killed.append(int(first))
        path.unlink(missing_ok=True)
    return killed


def _command_line(pid: int) -> str:
    found = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip()
