"""Finding, starting and stopping the local AWS without touching anyone else's processes."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rerank_ops.errors import NotFound, Refused
from rerank_ops.local import lifecycle
from rerank_ops.local.state import Home, LocalAws, without_aws


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process of somebody else."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()


def record(home: Home, pid: int, port: int = 9) -> LocalAws:
    found = LocalAws(pid, port, f"http://127.0.0.1:{port}", "2026-01-01T00:00:00+00:00", "us-east-1", home.folder)
    found.save()
    return found


def test_a_home_is_found_from_any_folder_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands work from a subfolder of the project; without a home the current folder gets one."""
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    nowhere = Home.of()
    (tmp_path / ".rerank" / "local").mkdir(parents=True)

    assert below / ".rerank" / "local" == nowhere.folder
    assert tmp_path / ".rerank" / "local" == Home.of().folder


def test_what_was_saved_is_loaded(home: Home) -> None:
    """server.json round-trips."""

    assert record(home, 1) == LocalAws.recorded(home)


@pytest.mark.parametrize("content", ["", "{", '{"pid": 1}', "[]"])
def test_a_damaged_record_counts_as_none(home: Home, content: str) -> None:
    """A half-written or foreign server.json is no server."""
    home.server_json.write_text(content)

    assert LocalAws.recorded(home) is None
    with pytest.raises(NotFound, match="No local AWS is running"):
        LocalAws.load(home)


def test_a_stale_record_stops_nobody(home: Home, bystander: subprocess.Popen[bytes]) -> None:
    """A pid that belongs to another program by now is left alone, and the record goes."""
    record(home, bystander.pid)

    stopped = lifecycle.down(home, say=lambda line: None)

    assert stopped is False
    assert bystander.poll() is None
    assert not home.server_json.exists()


def test_a_record_of_a_dead_process_is_cleared(home: Home) -> None:
    """Down after a crash is quiet."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    record(home, process.pid)

    assert lifecycle.down(home, say=lambda line: None) is False
    assert not home.server_json.exists()


def test_a_taken_port_is_refused_with_advice(home: Home) -> None:
    """--port of somebody else's server."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Refused, match="is taken"):
            lifecycle.up(home, say=lambda line: None, port=taken.getsockname()[1], bootstrap=False)


def test_nothing_of_the_users_account_is_passed_on() -> None:
    """Keys, profiles and endpoints of the surrounding shell are left out."""
    shell = {"AWS_PROFILE": "prod", "AWS_ACCESS_KEY_ID": "AKIA", "CDK_DEFAULT_ACCOUNT": "1", "PATH": "/bin"}

    assert {"PATH": "/bin"} == without_aws(shell)


def test_the_newest_log_of_each_variant_is_shown(home: Home) -> None:
    """After an update the new container's log counts; jobs have their own; unknown names list the known."""
    folder, job = home.logs / "e", home.logs / "transform" / "job"
    for name, age in {"main-1": 20, "main-2": 10, "shadow-1": 20}.items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.log").write_text(name)
        os.utime(folder / f"{name}.log", (1_000_000 - age, 1_000_000 - age))
    job.mkdir(parents=True)
    (job / "job.log").write_text("x")

    assert [folder / "main-2.log", folder / "shadow-1.log"] == lifecycle.log_files(home, "e")
    assert [job / "job.log"] == lifecycle.log_files(home, "job")
    assert [home.server_log] == lifecycle.log_files(home, None)
    with pytest.raises(Refused, match="e, job"):
        lifecycle.log_files(home, "nobody")


def test_following_gives_whole_lines_as_they_come(tmp_path: Path) -> None:
    """Lines are shown once they are complete."""
    path, stop = tmp_path / "log", threading.Event()
    path.write_text("old\n")
    lines = lifecycle.follow([path], stop)
    writer = threading.Thread(target=_append, args=(path, ["one\ntw", "o\n"]))
    writer.start()

    found = [next(lines), next(lines)]
    stop.set()
    writer.join()
    assert ["one", "two"] == found


def test_the_tail_of_a_missing_log_is_empty(tmp_path: Path) -> None:
    """No file, no lines."""

    assert [] == lifecycle.tail(tmp_path / "none", 5)


def _append(path: Path, parts: list[str]) -> None:
    for part in parts:
        with path.open("a") as file:
            file.write(part)
        threading.Event().wait(0.3)
