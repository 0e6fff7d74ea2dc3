"""One model process: spawned in its own group, polled on /ping, stopped as SageMaker stops containers."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

from rerank_local.data.container.connections import ConnectionPool
from rerank_local.data.container.launch import Command
from rerank_local.data.container.leftovers import note
from rerank_local.data.errors import ContainerFailed, DataPlaneError

PING_TIMEOUT_S = 2.0  # SageMaker's
POLL_S = 0.05
TAIL_BYTES = 2_000


class ModelProcess:
    """A running server on 127.0.0.1:port, whose output is appended to `log`.

    Attributes:
        exited: set once the process has ended, for whatever reason.
    """

    def __init__(self, command: Command, *, port: int, folder: Path, log: Path) -> None:
        self.port, self.log = port, log
        self.pool = ConnectionPool(port)
        self.exited = threading.Event()
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log_from = log.stat().st_size if log.exists() else 0  # what came before is not its own
        with log.open("ab") as output:
            try:
                self._popen = subprocess.Popen(
                    command.argv,
                    env=dict(command.environment),
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # so that its children can be stopped with it
                )
            except OSError as error:
                raise ContainerFailed(f"{command.argv[0]} cannot be started: {error}.") from error
        self.pid = self._popen.pid
        self._note = note(log, self.pid, command.argv)
        threading.Thread(target=self._await_exit, name=f"exit-of-{self.pid}", daemon=True).start()

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._popen.returncode if self.exited.is_set() else None

    def ping(self) -> int | None:
        """The status of GET /ping; None if there is none within 2 s."""
        with contextlib.suppress(DataPlaneError):
            return self.pool.request("GET", "/ping", timeout_s=PING_TIMEOUT_S).status
        return None

    def wait_healthy(self, timeout_s: float) -> None:
        """Returns once /ping says 200.

        Raises:
            ContainerFailed: the process ended, or `timeout_s` seconds went by; with the end of its log.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.exited.wait(POLL_S):
                raise ContainerFailed(f"The process ended with {_ending(self._popen.returncode)}.\n{self.tail()}")
            if self.ping() == 200:
                return
        raise ContainerFailed(f"/ping did not say 200 within {timeout_s:g} s.\n{self.tail()}")

    def stop(self, grace_s: float) -> None:
        """SIGTERM to the process and its children, SIGKILL to what is left after `grace_s` seconds."""
        if not self.exited.is_set():
            self._signal(signal.SIGTERM)
            self.exited.wait(grace_s)
        self._signal(signal.SIGKILL)
        if self.exited.wait(PING_TIMEOUT_S):
            self._note.unlink(missing_ok=True)
        self.pool.close()

    def tail(self, size_bytes: int = TAIL_BYTES) -> str:
        """The end of what it wrote."""
        return log_tail(self.log, size_bytes, start=self._log_from)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _await_exit(self) -> None:
        self._popen.wait()
        self.exited.set()


def log_tail(log: Path, size_bytes: int = TAIL_BYTES, *, start: int = 0) -> str:
    """The last `size_bytes` of a log after byte `start`, from the start of a line; says so if there is nothing."""
    if not log.exists():
        return "(no log)"
    with log.open("rb") as source:
        end = source.seek(0, os.SEEK_END)
        begin = max(start, end - size_bytes)
        source.seek(begin)
        text = source.read().decode("utf-8", "replace")
    if begin > start:
        text = text.partition("\n")[2] or text
    return text.strip() or "(it wrote nothing)"


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"
