"""Finding, starting and stopping the local AWS without touching anyone else's processes."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from rerank_local import lifecycle, state
from rerank_local.errors import NotFound, Refused
from rerank_local.state import HOME_VARIABLE, Home, LocalAws, env_of_shell, without_aws


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
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    monkeypatch.setattr(state, "CHECKOUT", tmp_path / "no-checkout")
    nowhere = Home.of()
    (tmp_path / ".rerank" / "local").mkdir(parents=True)

    assert below / ".rerank" / "local" == nowhere.folder
    assert tmp_path / ".rerank" / "local" == Home.of().folder


def test_a_project_has_one_home_from_wherever_the_command_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first `up`, too: below its cdk.json, and from a folder outside; LOCAL_AWS_HOME goes before."""
    project, below, outside = (tmp_path / name for name in ("project", "project/training", "elsewhere"))
    for folder in (below, outside):
        folder.mkdir(parents=True)
    (project / "cdk.json").write_text("{}")
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    monkeypatch.setattr(state, "CHECKOUT", project)
    found = []
    for folder in (project, below, outside):
        monkeypatch.chdir(folder)
        found.append(Home.of().folder)
    monkeypatch.setenv(HOME_VARIABLE, str(outside / "home"))

    assert [project / ".rerank" / "local"] * 3 == found
    assert outside / "home" == Home.of().folder
    assert below == Home.of(below).folder


@pytest.fixture
def neighbour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """Home and URL of another project's local AWS, and a program that is none, on the ports that are looked at."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"pid": 1, "home": "/other/.rerank/local"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Health) as server, socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        port = server.server_address[1]
        monkeypatch.setattr(state, "PORTS", [mute.getsockname()[1], port])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Path("/other/.rerank/local"), f"http://127.0.0.1:{port}"
        server.shutdown()
        thread.join()


def test_where_none_runs_those_of_other_projects_are_named(home: Home, neighbour: tuple[Path, str]) -> None:
    """So that nobody starts a second one for want of knowing where the first is."""
    with pytest.raises(NotFound) as caught:
        LocalAws.load(home)

    assert f"That of {neighbour[0]} runs at {neighbour[1]}." in str(caught.value)
    assert "LOCAL_AWS_HOME" in str(caught.value.tip)
    assert "rerank local up" in str(caught.value.tip)


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

    assert {"PATH": "/bin"} == without_aws(shell | {"AMAZON_REGION": "eu-west-1"})


def test_a_shell_is_rid_of_what_would_go_before_the_local_aws(home: Home) -> None:
    """An endpoint of one service, a switch that ignores endpoints, a profile; other variables are left alone."""
    local = record(home, 1)
    shell = {"AWS_ENDPOINT_URL_S3": "https://real", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true", "PATH": "/bin"}
    found = env_of_shell(local, shell | {"AMAZON_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://stale"})

    unset = [name for name, value in found.items() if value is None]
    assert ["AMAZON_REGION", "AWS_DEFAULT_PROFILE", "AWS_ENDPOINT_URL_S3"] == unset[:3]
    assert ["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_PROFILE"] == unset[3:]
    assert {**local.env(), "CDK_HOME": str(home.cdk)} == {name: found[name] for name in found if name not in unset}
    behind_proxy = env_of_shell(local, {"http_proxy": "http://proxy", "NO_PROXY": "intranet"})
    assert "intranet,127.0.0.1,localhost" == behind_proxy["NO_PROXY"] == behind_proxy["no_proxy"]


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
