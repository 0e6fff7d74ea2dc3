"""The fault table: what breaks, and what callers, /ping and the platform see of it. Real processes, real sockets.

| fault                | callers                                      | /ping           | process                  |
|----------------------|----------------------------------------------|-----------------|--------------------------|
| worker killed        | 503 model_not_loaded, Retry-After            | 503             | ends with 1              |
| forward stuck        | 504 at their deadline                        | 503 while stuck | recovers, or ends with 1 |
| out of memory        | 503 out_of_memory, Retry-After; halves first | 200             | goes on                  |
| NaN for one document | 500 not_finite for that request alone        | 200             | goes on                  |
| NaN weights          | none: never ready                            | 503             | ends with 1              |
| corrupted bundle     | none: never ready                            | 503             | ends with 1              |
| client gone          | others are served                            | 200             | drops its work           |
| slow client          | others are served; it gets 408               | 200             | goes on                  |
| SIGTERM under load   | every accepted one answered, new ones 503    | 503             | ends with 0              |
| SIGTERM while stuck  | 503 with Retry-After before the end          | 503             | ends with 0              |
| disk full on logs    | served                                       | 200             | goes on                  |
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from rerank_engine.handler import load
from rerank_engine.hosting import Hosting
from rerank_engine.server.life import Life, loader
from rerank_engine.settings import Settings

PATIENCE_S = 60.0
Until = Callable[..., Any]
SCRIPT = Path(__file__).with_name("faulty_server.py")


class Faulty:
    """A server around the faulty engine."""

    def __init__(self, *, stdout: Any = subprocess.DEVNULL, **settings: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        env = {**os.environ, "SAGEMAKER_BIND_TO_PORT": str(self.port), "RERANK_LOG_LEVEL": "info", **settings}
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT)],
            env=env,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
        transport = httpx.HTTPTransport(retries=0)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=PATIENCE_S, transport=transport)

    def pings(self, wanted: int) -> bool:
        """Whether /ping answers `wanted`; fails once the process has ended."""
        assert self.process.poll() is None, self.process.communicate(timeout=PATIENCE_S)
        return self.ping() == wanted

    def ping(self) -> int:
        try:
            return self.client.get("/ping").status_code
        except httpx.ConnectError:
            return 0

    def ask(self, *documents: str) -> httpx.Response:
        return httpx.post(self.client.base_url.join("/invocations"), json=_body(*documents), timeout=PATIENCE_S)

    def metric(self, line: str) -> bool:
        return line in self.client.get("/metrics").text.splitlines()

    def go(self) -> None:
        """End all waiting."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def ended(self) -> tuple[int, str]:
        code = self.process.wait(PATIENCE_S)
        assert self.process.stderr is not None
        return code, self.process.stderr.read()


def _body(*documents: str) -> dict[str, Any]:
    return {"query": "q", "documents": documents, "return_documents": False}


@pytest.fixture
def faulty(until: Until) -> Iterator[Callable[..., Faulty]]:
    """Starts servers and waits until they are ready; kills what is left of them."""
    started: list[Faulty] = []

    def start(**more: Any) -> Faulty:
        started.append(server := Faulty(**more))
        until(lambda: server.pings(200), "the server is ready")
        return server

    yield start
    for server in started:
        server.client.close()
        server.process.kill()
        server.process.communicate(timeout=PATIENCE_S)


def code_of(answer: httpx.Response) -> tuple[int, str, bool]:
    return answer.status_code, answer.json()["detail"]["code"], "retry-after" in answer.headers


def test_worker_killed(faulty: Callable[..., Faulty]) -> None:
    """Its callers are told to try again, and the process ends so that a new one is started."""
    server = faulty()

    answer = server.ask("✝")
    code, said = server.ended()

    assert (503, "model_not_loaded", True) == code_of(answer)
    assert (1, True) == (code, said.startswith("ERROR Giving up: the model's worker is dead."))
    assert "Traceback" not in said


def test_forward_stuck(faulty: Callable[..., Faulty], until: Until) -> None:
    """The caller gets its 504, /ping fails, and in the end the process gives up."""
    server = faulty(RERANK_DEADLINE_SECONDS="0.3", RERANK_HANG_EXIT_SECONDS="1.5")

    answer = server.ask("⌛")
    until(lambda: server.ping() == 503, "the health check fails")  # the pass began a moment after the request
    code, said = server.ended()

    assert (504, "deadline_exceeded", False) == code_of(answer)
    assert (1, True) == (code, said.startswith("ERROR Giving up: a forward pass has taken"))


def test_forward_recovers(faulty: Callable[..., Faulty], until: Until) -> None:
    """A pass that ends after all is forgiven."""
    server = faulty(RERANK_DEADLINE_SECONDS="0.3", RERANK_HANG_EXIT_SECONDS="0")
    server.ask("⌛")
    until(lambda: server.pings(503), "the health check fails")
    server.go()
    until(lambda: server.pings(200), "the health check passes again")

    assert 200 == server.ask("a").status_code


def test_out_of_memory(faulty: Callable[..., Faulty]) -> None:
    """A batch that does not fit is halved; a pair that does not fit is a 503, and the server goes on."""
    server = faulty()

    together, alone, after = server.ask("▤", "▤a", "b"), server.ask("▣"), server.ask("a")

    assert (200, 3) == (together.status_code, len(together.json()["results"]))
    assert (503, "out_of_memory", True) == code_of(alone)
    assert (200, 200) == (after.status_code, server.ping())


def test_nan_for_one_document(faulty: Callable[..., Faulty]) -> None:
    """NaN is never a score: the request that met it fails, others do not."""
    server = faulty()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(server.ask, ["☠", "a"] * 4))

    assert [(500, "not_finite", False)] * 4 == [code_of(answer) for answer in answers[::2]]
    assert [200] * 4 == [answer.status_code for answer in answers[1::2]]


def test_nan_weights(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """A model of NaN never becomes ready, in either door, and says so."""
    import torch
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "model"))
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: torch.full_like(tensor, float("nan")) for name, tensor in weights.items()}, folder / "model.safetensors"
    )
    settings = Settings(model_dir=str(folder))
    life = Life(settings, Hosting(), loader(Hosting(), settings))
    life.start()
    life.join()

    answer = load(str(folder), {}).answer('{"query": "q", "documents": ["a"]}', "application/json", None)

    assert "NaN" in (life.trouble() or "")
    assert ("model_not_loaded", True) == (json.loads(answer)["detail"]["code"], "NaN" in answer)


def test_corrupted_bundle(serve: Callable[..., Any], bundle_dir: Path, tmp_path: Path) -> None:
    """One flipped bit in the weights: the process ends before it loads them, and names the file."""
    folder = Path(shutil.copytree(bundle_dir, tmp_path / "model"))
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.safetensors").write_bytes(data)

    server = serve(model_dir=folder)

    assert 1 == server.ended()
    assert "model.safetensors was changed" in server.stderr[0]


def test_client_gone(faulty: Callable[..., Faulty], until: Until) -> None:
    """A caller that leaves costs nobody else anything."""
    server = faulty()
    leaver = send(server.port, _body("⌛"))
    until(lambda: server.metric("rerank_queued_requests 1"), "the request is queued")
    leaver.close()
    until(lambda: server.metric('rerank_requests_total{path="/invocations",status="499"} 1'), "the leaver is noticed")
    server.go()

    assert 200 == server.ask("a").status_code
    assert server.metric("rerank_inflight_requests 0")


def test_slow_clients(faulty: Callable[..., Faulty]) -> None:
    """Half a body, half a header, an answer that nobody reads: others are served, and the half body gets its 408."""
    server = faulty(RERANK_DEADLINE_SECONDS="1")
    half_body = send(server.port, _body("a" * 1000), cut=500)
    half_header = send(server.port, _body("a"), cut=-1)
    unread = send(server.port, {"query": "q", "documents": ["x" * 500_000] * 10})

    served = [server.ask("a").status_code for _ in range(5)]
    answer = half_body.makefile("rb").readline()

    assert [200] * 5 == served
    assert b" 408 " in answer
    assert 200 == server.ping()
    for one in (half_body, half_header, unread):
        one.close()


def test_sigterm_under_load(faulty: Callable[..., Faulty], until: Until) -> None:
    """Everything accepted is answered with its scores, newcomers with 503 or a closed port; the exit code is 0."""
    server = faulty()
    with ThreadPoolExecutor(24) as pool:
        accepted = [pool.submit(server.ask, "⌛", "a" * number) for number in range(20)]
        until(lambda: server.metric("rerank_inflight_requests 20"), "20 requests are under way")
        server.process.send_signal(signal.SIGTERM)
        late = []
        with contextlib.suppress(httpx.HTTPError):
            while len(late) < 1000:
                late.append(server.ask("b"))
        server.go()
        answers = [future.result(PATIENCE_S) for future in accepted]

    assert [200] * 20 == [answer.status_code for answer in answers]
    assert {(503, "model_not_loaded", True)} >= {code_of(answer) for answer in late if answer.status_code != 200}
    assert (0, "") == server.ended()


def test_sigterm_while_stuck(faulty: Callable[..., Faulty], until: Until) -> None:
    """What cannot be finished in time gets its 503 before the process ends, well within SageMaker's 30 s."""
    server = faulty(RERANK_DRAIN_SECONDS="2.5")
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(server.ask, "⌛") for _ in range(3)]
        until(lambda: server.metric("rerank_inflight_requests 3"), "3 requests are under way")
        server.process.send_signal(signal.SIGTERM)
        answers = [future.result(PATIENCE_S) for future in waiting]

    assert [(503, "model_not_loaded", True)] * 3 == [code_of(answer) for answer in answers]
    assert (0, "") == server.ended()


def test_disk_full_on_logs(faulty: Callable[..., Faulty]) -> None:
    """Every log line fails to be written; nobody notices."""
    with Path("/dev/full").open("w") as full:
        server = faulty(stdout=full)
        answers = [server.ask("a").status_code for _ in range(5)]
        server.process.send_signal(signal.SIGTERM)

    assert [200] * 5 == answers
    assert 0 == server.ended()[0]


def send(port: int, body: dict[str, Any], *, cut: int | None = None) -> socket.socket:
    """Send a request by hand: all of it, the first `cut` bytes of its body, or all but the last of its header."""
    data = json.dumps(body).encode()
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    if cut is not None and cut < 0:
        connection.sendall(head)
    else:
        connection.sendall(head + f"Content-Length: {len(data)}\r\n\r\n".encode() + data[:cut])
    return connection
