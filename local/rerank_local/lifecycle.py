"""Starting, stopping and looking at the local AWS of a project."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

from rerank_local import cdk
from rerank_local.cdk_cli import CdkFailed, Say
from rerank_local.data.container.leftovers import stop_leftovers
from rerank_local.errors import Refused, Unfinished
from rerank_local.processes import command_of, is_running
from rerank_local.state import PORTS, Home, LocalAws, running, without_aws

# What the server and the models it runs import; named to the user before a server is started that cannot come up.
NEEDED = ("boto3", "moto", "werkzeug", "yaml", "cfnlint", "torch", "tokenizers", "safetensors", "uvicorn")
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 45.0  # model processes get 30 s to drain
_TAIL_LINES = 15


def up(
    home: Home,
    *,
    say: Say,
    port: int | None = None,
    region: str = "us-east-1",
    bootstrap: bool = True,
    root: Path | None = None,
) -> LocalAws:
    """Starts the local AWS in the background and bootstraps it for CDK; one that runs already is left as it is.

    Args:
        port: to listen on; None takes the first free one from 4510 on.
        root: the checkout, for the CDK CLI in its .tools.

    Raises:
        Refused: the port is taken.
        Unfinished: the server did not come up; the text holds the end of its log.
    """
    before = LocalAws.recorded(home)
    if before is not None and before.is_alive():
        say(f"The local AWS of {home.folder} is already up at {before.endpoint_url} (pid {before.pid}).")
        return before
    for other in running():
        say(f"Another local AWS runs at {other.endpoint_url}: that of {other.home}. This one is of {home.folder}.")
    _sweep(home, say)
    for stale in (home.logs, home.cdk / "assemblies"):  # of an AWS that has forgotten everything
        shutil.rmtree(stale, ignore_errors=True)
    local = _spawn(home, _free_port(port), region, say)
    if bootstrap:
        say("Bootstrapping it for CDK …")
        try:
            cdk.bootstrap(local, say=lambda line: None, root=root)
        except CdkFailed as error:
            for line in error.output:
                say(line)
            raise
    say(f"Up: {local.endpoint_url}")
    return local


def down(home: Home, *, say: Say) -> bool:
    """Stops the local AWS with all its model processes; whether there was one. Touches no process of anyone else."""
    recorded = LocalAws.recorded(home)
    was_running = recorded is not None and _is_ours(recorded)
    if recorded is not None and was_running:
        say(f"Stopping the local AWS (pid {recorded.pid}) …")
        _end(recorded.pid, _STOP_TIMEOUT_S)
    _sweep(home, say)
    home.server_json.unlink(missing_ok=True)
    return was_running


def log_files(home: Home, name: str | None) -> list[Path]:
    """Log files: of the server (None or "server"), else the newest of each variant of an endpoint, or of a job.

    Raises:
        Refused: there is none of that name.
    """
    if name in (None, "server"):
        return [home.server_log]
    found = _newest(home.logs / str(name)) or sorted((home.logs / "transform" / str(name)).glob("*.log"))
    if not found:
        known = sorted({path.parent.name for path in home.logs.rglob("*.log")})
        raise Refused(f"No logs of {name!r}. There are: {', '.join(known) or 'none'}.")
    return found


def follow(paths: list[Path], stop: threading.Event) -> Iterator[str]:
    """Lines as they are appended to files from this call on, until `stop` is set."""
    return _follow({path: path.stat().st_size for path in paths}, stop)


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a file; none when it does not exist."""
    if not path.is_file():
        return []
    return path.read_text(errors="replace").splitlines()[-lines:]


def _follow(positions: dict[Path, int], stop: threading.Event) -> Iterator[str]:
    while not stop.wait(0.2):
        for path, position in positions.items():
            size = path.stat().st_size
            if size > position:
                with path.open("rb") as file:
                    file.seek(position)
                    fresh = file.read()
                whole = fresh[: fresh.rfind(b"\n") + 1]
                positions[path] = position + len(whole)
                yield from whole.decode(errors="replace").splitlines()


def _newest(folder: Path) -> list[Path]:
    newest: dict[str, Path] = {}
    for path in sorted(folder.glob("*.log"), key=lambda item: item.stat().st_mtime):
        newest[path.stem.rsplit("-", 1)[0]] = path
    return sorted(newest.values())


def _spawn(home: Home, port: int, region: str, say: Say) -> LocalAws:
    for folder in (home.folder, home.work, home.logs):
        folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "rerank_local.server"]
    command += ["--port", str(port), "--home", str(home.folder), "--region", region]
    environment = {
        **without_aws(dict(os.environ)),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "TMPDIR": str(home.work),
        "MOTO_DISABLE_GLOBAL_CORS": "true",
        "PYTHONUNBUFFERED": "1",
    }
    say(f"Starting the local AWS on http://127.0.0.1:{port} …")
    with home.server_log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline, pause = monotonic() + _START_TIMEOUT_S, threading.Event()
    while monotonic() < deadline and process.poll() is None:
        local = LocalAws.recorded(home)
        if local is not None and local.pid == process.pid and local.is_alive():
            return local
        pause.wait(0.05)
    if process.poll() is None:
        process.kill()
        process.wait()
    log = "\n".join(tail(home.server_log, _TAIL_LINES))
    raise Unfinished(f"The local AWS did not come up on port {port}:\n{log}", tip=f"The whole log: {home.server_log}")


def _free_port(wanted: int | None) -> int:
    for port in PORTS if wanted is None else (wanted,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    if wanted is not None:
        raise Refused(f"Port {wanted} is taken.", tip="Choose another with --port, or leave it out.")
    raise Refused(f"Every port from {PORTS.start} to {PORTS.stop - 1} is taken.", tip="Choose one with --port.")


def _is_ours(recorded: LocalAws) -> bool:
    """Whether the recorded process is the server that wrote the record, even if it does not answer any more."""
    if recorded.is_alive():
        return True
    command = command_of(recorded.pid)
    return "rerank_local.server" in command and str(recorded.home) in command


def _sweep(home: Home, say: Say) -> None:
    """Ends model processes that a killed server left behind, and removes its temporary files."""
    for pid in stop_leftovers(home.logs):
        say(f"Ended a model process that was left behind (pid {pid}).")
    shutil.rmtree(home.work, ignore_errors=True)


def _end(pid: int, timeout_s: float) -> None:
    deadline, pause = monotonic() + timeout_s, threading.Event()
    for signum in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            return
        while is_running(pid) and monotonic() < deadline:
            pause.wait(0.05)
        if not is_running(pid):
            return
        deadline = monotonic() + 5.0
