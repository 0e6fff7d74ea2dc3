"""A shell that sourced scripts/setup.sh, in a project of its own, with no program on its PATH but the ones given."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = (
    "awk",
    "bash",
    "cat",
    "chmod",
    "cksum",
    "df",
    "dirname",
    "grep",
    "head",
    "ln",
    "mkdir",
    "mv",
    "rm",
    "sed",
    "sh",
    "sleep",
    "tail",
    "uname",
)


class Shell:
    """Runs commands after `source scripts/setup.sh`. `program` puts a script on PATH; `calls` are its command lines.

    Args:
        folder: an empty one; the project, HOME and TMPDIR are made in it.
    """

    def __init__(self, folder: Path) -> None:
        self.project, self.home, self.tmp = folder / "a project", folder / "home", folder / "tmp"
        self._bin, self._log = folder / "bin", folder / "log"
        for made in (self.project, self.home, self.tmp, self._bin, self._log):
            made.mkdir()
        shutil.copytree(ROOT / "scripts", self.project / "scripts", ignore=shutil.ignore_patterns("rerank_ops"))
        shutil.copytree(ROOT / "requirements", self.project / "requirements")
        shutil.copy(ROOT / "pyproject.toml", self.project)
        for name in TOOLS:
            found = shutil.which(name)
            assert found, name
            (self._bin / name).symlink_to(found)
        self._mktemp = shutil.which("mktemp")
        self.program("mktemp", f'exec {self._mktemp} "$@"')

    def __call__(self, script: str) -> subprocess.CompletedProcess[str]:
        """Runs `script` as scripts/run would."""
        return subprocess.run(
            ["bash", "-c", f"set -euo pipefail; source scripts/setup.sh; {script}"],
            cwd=self.project,
            env={"PATH": str(self._bin), "HOME": str(self.home), "TMPDIR": str(self.tmp), "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def program(self, name: str, body: str, folder: Path | None = None) -> None:
        """A shell script `name` on PATH, or in `folder`."""
        path = (folder or self._bin) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        log = shlex.quote(str(self._log / name))
        path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{log}\n{body}\n')
        path.chmod(0o755)

    def calls(self, name: str) -> list[str]:
        """The arguments of each call of a script, one line a call."""
        log = self._log / name
        return log.read_text().splitlines() if log.exists() else []

    def refuse(self, folder: Path) -> None:
        """Makes `mktemp` fail in `folder`, as where a file system is read-only."""
        absolute, relative = shlex.quote(str(folder)), shlex.quote(os.path.relpath(folder, self.project))
        body = f'case "$1" in {absolute}/*|{relative}/*) exit 1 ;; esac'
        self.program("mktemp", f'{body}\nexec {self._mktemp} "$@"')

    def file(self, name: str, text: str) -> Path:
        """A file of the project."""
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
        return path


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)
