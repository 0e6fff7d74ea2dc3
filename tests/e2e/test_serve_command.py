"""rerank serve: the endpoint's server without AWS."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rerank_bundle.build import build
from rerank_bundle.errors import ArchiveError
from rerank_ops.errors import NotFound
from rerank_ops.serving import model_folder, server_environment, server_script

pytestmark = pytest.mark.e2e

BODY = {"query": "what scales?", "documents": ["autoscaling", "a cat"]}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_ready(process: subprocess.Popen[bytes], url: str) -> bool:
    """Whether /ping says 200; fails when the server has ended."""
    assert process.poll() is None, "the server has ended"
    try:
        with urllib.request.urlopen(f"{url}/ping", timeout=5):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False


@pytest.mark.parametrize("kind", ["demo", "folder", "bundle"])
def test_a_model_is_served_until_it_is_told_to_stop(
    kind: str, tiny_checkpoint: Path, tmp_path: Path, until: Callable[..., Any]
) -> None:
    """The word demo, a checkpoint folder, a tarball: /ping, an answer; SIGTERM ends it with code 0 and no litter."""
    model = {"demo": "demo", "folder": str(tiny_checkpoint), "bundle": str(tmp_path / "model.tar.gz")}[kind]
    if kind == "bundle":
        build(tiny_checkpoint, Path(model), name="tiny")
    scratch, port = tmp_path / "scratch", free_port()
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "rerank_ops.cli", "serve", model, "--port", str(port)],
        env=os.environ | {"TMPDIR": str(scratch)},
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: is_ready(process, url), "the server is ready")
        request = urllib.request.Request(
            f"{url}/invocations", json.dumps(BODY).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            answer = json.load(reply)
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=60)
    finally:
        process.kill()
        process.wait(timeout=60)

    assert {0, 1} == {result["index"] for result in answer["results"]}
    assert code == 0
    assert [] == list(scratch.iterdir())


def test_the_server_listens_on_loopback_whatever_the_environment_says(tmp_path: Path) -> None:
    """A shell that serves containers elsewhere must not open this machine to its network."""
    env = server_environment(tmp_path, 9000, {"RERANK_BIND_HOST": "0.0.0.0", "RERANK_TOKEN_BUDGET": "64"})

    assert ("127.0.0.1", "9000", "64") == tuple(
        env[name] for name in ("RERANK_BIND_HOST", "SAGEMAKER_BIND_TO_PORT", "RERANK_TOKEN_BUDGET")
    )


def test_a_bundle_is_served_with_its_own_code(tmp_path: Path) -> None:
    """Not with the checkout's, which may be newer."""
    own = tmp_path / "code" / "serve.py"
    own.parent.mkdir()
    own.write_text("")

    assert own == server_script(tmp_path)
    assert "serve.py" == server_script(tmp_path / "code").name


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    """A folder without config.json, a word, a tarball that is none."""
    (tmp_path / "model.tar.gz").write_bytes(b"nothing")
    with pytest.raises(NotFound, match="neither a"), model_folder(str(tmp_path)):
        pass
    with pytest.raises(ArchiveError), model_folder(str(tmp_path / "model.tar.gz")):
        pass
