"""The real server process, started from an unpacked bundle as the data plane does it."""

import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.e2e

PATIENCE_S = 120.0
SECRET = "a query that must not be logged"

Server = Any  # see conftest.py


def test_the_whole_life(serve: Callable[..., Server], bundle_dir: Path, until: Callable[..., Any]) -> None:
    """Not ready, ready, the very scores of the engine, and after SIGTERM everything accepted is answered."""
    from rerank_engine.reranker.engine import Reranker

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
        until(lambda: "rerank_inflight_requests 1" in client.get("/metrics").text, "the request is under way")
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
    assert ["ERROR uvicorn is not installed.", "TIP pip install uvicorn httptools."] == server.stderr
