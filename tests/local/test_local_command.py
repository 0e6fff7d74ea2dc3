"""`rerank local` as a person and a program use it: it is never silent, and writes JSON when asked."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rerank_local import lifecycle, state
from rerank_local.identity import key_id
from rerank_local.server import LocalServer
from rerank_local.state import Home, LocalAws
from rerank_ops import cli


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS in this process."""
    home = Home(tmp_path_factory.mktemp("local"))
    server = LocalServer(home, 0)
    thread = threading.Thread(target=server.serve)
    thread.start()
    local = server.describe()
    local.save()
    home.server_log.write_text("first\nsecond\n")
    yield local
    server.shutdown()
    thread.join(timeout=60)


@pytest.fixture(autouse=True)
def quiet_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else's local AWS is looked for."""
    monkeypatch.setattr(state, "PORTS", [])


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Any:
    def of(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(["local", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return of


@pytest.mark.parametrize("verb", ["status", "logs", "logs --follow", "logs e", "env", "status --json", "env --json"])
def test_what_needs_a_local_aws_fails_without_one(said: Any, tmp_path: Path, verb: str) -> None:
    """With exit code 1, an error and a tip; never in silence."""
    code, out, err = said(*verb.split(), "--home", str(tmp_path))

    assert (1, "") == (code, out)
    assert f"ERROR No local AWS is running in {tmp_path}." in err
    assert "TIP Start one with: rerank local up" in err


def test_logs_of_the_last_local_aws_are_told_as_such(said: Any, tmp_path: Path) -> None:
    """They say why it ended; nobody follows them."""
    Home(tmp_path).server_log.write_text("it ended\n")
    code, out, err = said("logs", "--home", str(tmp_path))

    assert (0, "it ended\n") == (code, out)
    assert "these lines are of the last one" in err
    assert 1 == said("logs", "--follow", "--home", str(tmp_path))[0]


def test_a_log_without_lines_is_told(said: Any, running: LocalAws) -> None:
    """An endpoint that has not answered yet is not the same as no output at all."""
    folder = Home(running.home).logs / "quiet"
    folder.mkdir()
    (folder / "main-1.log").touch()

    assert "has no lines yet" in said("logs", "quiet", "--home", str(running.home))[2]


def test_each_verb_writes_json(said: Any, running: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """As --help shows: what runs where, its lines, its variables."""
    monkeypatch.setenv("AWS_PROFILE", "prod")
    home = ("--home", str(running.home), "--json")
    up, status, logs, env = (json.loads(said(verb, *home)[1]) for verb in ("up", "status", "logs", "env"))

    assert (running.endpoint_url, str(running.home), False) == (up["endpoint_url"], up["home"], up["started"])
    assert (running.endpoint_url, []) == (status["endpoint_url"], status["endpoints"])
    assert [{"path": str(Home(running.home).server_log), "lines": ["first", "second"]}] == logs
    assert (running.endpoint_url, key_id(running.home)) == (env["AWS_ENDPOINT_URL"], env["AWS_ACCESS_KEY_ID"])
    assert env["AWS_PROFILE"] is None


def test_down_says_whether_one_was_running(said: Any, tmp_path: Path) -> None:
    """Nothing to stop is no failure."""
    code, out, err = said("down", "--home", str(tmp_path), "--json")

    assert (0, {"home": str(tmp_path), "was_running": False}) == (code, json.loads(out))
    assert f"No local AWS was running in {tmp_path}." in err


def test_a_shell_that_evaluates_env_talks_to_this_local_aws(said: Any, running: LocalAws) -> None:
    """bash reads it: variables of the user's are gone, those of the local AWS are set."""
    script = said("env", "--home", str(running.home))[1]
    shown = "echo $AWS_ENDPOINT_URL $AWS_ACCESS_KEY_ID ${AWS_PROFILE-none}"
    env = {"PATH": os.environ["PATH"], "AWS_PROFILE": "prod", "AWS_ENDPOINT_URL": "http://stale"}
    done = subprocess.run(["bash", "-c", script + shown], capture_output=True, text=True, check=True, env=env)

    assert f"{running.endpoint_url} {key_id(running.home)} none\n" == done.stdout


def test_a_second_one_is_started_knowingly(tmp_path: Path, running: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """`up` says which other local AWS runs, and where, before it starts one of this project."""
    monkeypatch.setattr(state, "PORTS", [running.port])
    monkeypatch.setattr(lifecycle, "_spawn", lambda home, port, region, say: running)
    lines: list[str] = []
    lifecycle.up(Home(tmp_path), say=lines.append, bootstrap=False)

    assert (
        f"Another local AWS runs at {running.endpoint_url}: that of {running.home}. This one is of {tmp_path}." in lines
    )
