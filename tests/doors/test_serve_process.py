"""The real server process, started from an unpacked bundle as the data plane does it."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

pytestmark = pytest.mark.e2e

PATIENCE_S = 120.0
SECRET = "a query that must not be logged"


class Server:
    """`python -I code/serve.py` on a port the kernel picks, read from its own log."""

    def __init__(self, model_dir: Path, *flags: str, **env: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", *flags, str(model_dir / "code" / "serve.py"), "serve"],
            env={
                "PATH": os.environ["PATH"],
                "OMP_NUM_THREADS": "1",
                "SAGEMAKER_BIND_TO_PORT": "0",
                "SAGEMAKER_BASE_DIR": str(model_dir.parent),
                **env,
            },
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[dict[str, Any]] = []
        self.stderr: list[str] = []
        self._news = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.log, json.loads)),
            threading.Thread(target=self._read, args=(self.process.stderr, self.stderr, str.strip)),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str], into: list[Any], parse: Callable[[str], Any]) -> None:
        for line in stream:
            with self._news:
                into.append(parse(line))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def event(self, name: str) -> dict[str, Any]:
        """The first log line of an event, waited for."""

        def found() -> list[dict[str, Any]]:
            return [line for line in self.log if line["event"] == name]

        with self._news:
            assert self._news.wait_for(found, PATIENCE_S), (self.log, self.stderr)
            return found()[0]

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.event('listening')['port']}", timeout=PATIENCE_S)

    def ended(self) -> int:
        """The exit code, waited for."""
        code = self.process.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join(PATIENCE_S)
        return code


@pytest.fixture
def serve(bundle_dir: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers, of the bundle unless told otherwise; kills what a failed test left."""
    started: list[Server] = []

    def serve(*flags: str, model_dir: Path = bundle_dir, **env: str) -> Server:
        started.append(Server(model_dir, *flags, **env))
        return started[-1]

    yield serve
    for server in started:
        server.process.kill()
        server.ended()


def test_the_whole_life(serve: Callable[..., Server], bundle_dir: Path) -> None:
    """Not ready, ready, the very scores of the engine, and after SIGTERM everything accepted is answered."""
    from rerank_engine.engine import Reranker

    documents = [f"document {number} about pods and bananas" for number in range(400)]
    expected = Reranker.load(bundle_dir).rerank(SECRET, documents)
    server = serve()

    with server.client() as client:
        early = client.get("/ping")
        server.event("ready")
        ready = client.get("/ping")
        answer = client.post("/invocations", json={"query": SECRET, "documents": documents}).json()
        last: list[httpx.Response] = []
        many = {"query": SECRET, "documents": documents * 10, "return_documents": False}
        url = client.base_url.join("/v1/rerank")
        caller = threading.Thread(target=lambda: last.append(httpx.post(url, json=many, timeout=PATIENCE_S)))
        caller.start()
        while "rerank_inflight_requests 1" not in client.get("/metrics").text:
            assert caller.is_alive()
    server.process.send_signal(signal.SIGTERM)
    caller.join(PATIENCE_S)
    code = server.ended()

    assert (503, {"status": "loading the model"}) == (early.status_code, early.json())
    assert (200, b"") == (ready.status_code, ready.content)
    assert [(document.index, pytest.approx(document.score, abs=1e-6)) for document in expected.results] == [
        (entry["index"], entry["relevance_score"]) for entry in answer["results"]
    ]
    assert (200, 4000) == (last[0].status_code, len(last[0].json()["results"]))
    assert (0, []) == (code, server.stderr)
    assert {"drained": True} == {"drained": server.event("stopped")["drained"]}
    assert SECRET not in json.dumps(server.log)
    assert 400 == server.event("request")["pairs"]


def test_query_text_is_logged_when_asked(serve: Callable[..., Server]) -> None:
    """RERANK_LOG_TEXT=true writes queries into the log."""
    server = serve(RERANK_LOG_TEXT="true")
    server.event("ready")
    with server.client() as client:
        client.post("/invocations", json={"query": SECRET, "documents": ["a"]})

    assert [SECRET] == server.event("request")["queries"]


def test_sigterm_while_loading(serve: Callable[..., Server]) -> None:
    """A server stopped before it was ready ends as quietly."""
    server = serve()
    server.event("listening")
    server.process.send_signal(signal.SIGTERM)

    assert 0 == server.ended()


def test_a_folder_without_a_model(serve: Callable[..., Server], bundle_dir: Path, tmp_path: Path) -> None:
    """A model that cannot be loaded ends the process with one line that says why."""
    server = serve(RERANK_MODEL_DIR=str(tmp_path))

    assert 1 == server.ended()
    assert "config.json" in server.event("load failed")["error"]
    assert server.stderr[0].startswith("ERROR ")
    assert "Traceback" not in "\n".join(server.stderr)


def test_without_uvicorn(serve: Callable[..., Server]) -> None:
    """A Python without uvicorn is told how to get it (-S hides every installed package)."""
    server = serve("-S")

    assert 1 == server.ended()
    assert ["ERROR uvicorn is not installed.", "TIP pip install 'sagemaker-rerank-kit[serve]'."] == server.stderr
