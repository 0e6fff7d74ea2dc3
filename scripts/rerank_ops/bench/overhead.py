"""What stands between a caller and the model: a direct call, the server's HTTP, and boto3 through the local AWS.

    scripts/run --keep
    python -m rerank_ops.bench.overhead [--model FOLDER] [--requests 500] [--starts 5] [--json]

Needs the demo of `scripts/run --keep`; with --model, a checkpoint folder, a server of that is started instead and AWS
is left out. HTTP is asked over one kept connection, a request in one write: Python's own client takes as long as a
server does. The three ways take turns, request by request, so that a noisy machine is noisy
for all of them; each asks for the same one short document, so that little of the time is the model's. Starts are of the
demo's own server process, from exec to the first score over HTTP.
"""

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from rerank_local.errors import LocalError
from rerank_local.state import STATUS_PATH, Home, LocalAws
from rerank_ops import console
from rerank_ops.aws import Aws
from rerank_ops.bench import latency
from rerank_ops.errors import NotFound, OpsError
from rerank_ops.serving import HOST, server_environment, server_script

ENDPOINT = "rerank-sandbox"
QUERY, DOCUMENT = "what scales to zero?", "Asynchronous endpoints may scale down to zero."
BODY = json.dumps({"query": QUERY, "documents": [DOCUMENT]}).encode()
_START_TIMEOUT_S = 60.0

Call = Callable[[], object]


def interleaved(calls: dict[str, Call], requests: int) -> dict[str, list[float]]:
    """Milliseconds of each call, sorted; every round makes each of them once."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for round_number in range(requests + requests // 10):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if round_number >= requests // 10:  # the first rounds warm caches up
                taken[name].append(1000 * (time.perf_counter() - started))
    return {name: sorted(times) for name, times in taken.items()}


def first_score_seconds(folder: Path) -> tuple[float, float]:
    """Seconds from starting the server of the model in `folder` to /ping 200, and to its first score."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as scratch:
        started = time.perf_counter()
        argv = [sys.executable, "-I", str(server_script(folder))]
        env = server_environment(folder, port, os.environ)
        child = subprocess.Popen(argv, env=env, cwd=scratch, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while _status("GET", "/ping", port) != 200:
                if child.poll() is not None or time.perf_counter() - started > _START_TIMEOUT_S:
                    raise NotFound("The server did not become healthy.", tip="`rerank serve` shows its log.")
                time.sleep(0.005)
            healthy_s = time.perf_counter() - started
            _status("POST", "/invocations", port, BODY)
            return healthy_s, time.perf_counter() - started
        finally:
            child.terminate()
            child.wait()


def _status(method: str, path: str, port: int, body: bytes | None = None) -> int:
    connection = http.client.HTTPConnection(HOST, port, timeout=_START_TIMEOUT_S)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        return response.status
    except OSError:
        return 0
    finally:
        connection.close()


class Connection:
    """One kept HTTP/1.1 connection to the server, and as little work in this process as can be.

    Args:
        port: of the server, on this machine.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=_START_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = f"POST /invocations HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        self._request = f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY

    def ask(self) -> bytes:
        """The answer's body. Raises OpsError for any status but 200, and for a connection that ends."""
        self._socket.sendall(self._request)
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._more()
        head = received[:end].lower()
        if not head.startswith(b"http/1.1 200 "):
            raise OpsError(f"The server answered {head.splitlines()[0].decode('latin-1')}.")
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        while len(received) < end + 4 + length:
            received += self._more()
        return received[end + 4 :]

    def close(self) -> None:
        """End it."""
        self._socket.close()

    def _more(self) -> bytes:
        part = self._socket.recv(65_536)
        if not part:
            raise OpsError("The server closed the connection.")
        return part


@contextmanager
def without_aws(folder: Path) -> Iterator[dict[str, Call]]:
    """A direct call and one through a server of `folder` that is started for it."""
    from rerank_engine.reranker.engine import Reranker

    reranker = Reranker.load(folder)
    with latency.serving(folder, {}) as (port, _):
        connection = Connection(port)
        try:
            yield {
                "Reranker.rerank": lambda: reranker.rerank(QUERY, [DOCUMENT]),
                "serve.py over HTTP": connection.ask,
            }
        finally:
            connection.close()


@contextmanager
def ways(folder: Path, local: LocalAws) -> Iterator[dict[str, Call]]:
    """The three ways to one score."""
    from rerank_engine.reranker.engine import Reranker

    reranker = Reranker.load(folder)
    runtime = Aws(local_env=local.env()).client("sagemaker-runtime")
    connection = Connection(_port(local))

    def through_boto3() -> object:
        answer = runtime.invoke_endpoint(EndpointName=ENDPOINT, ContentType="application/json", Body=BODY)
        return answer["Body"].read()

    try:
        yield {
            "Reranker.rerank": lambda: reranker.rerank(QUERY, [DOCUMENT]),
            "serve.py over HTTP": connection.ask,
            "boto3 through the local AWS": through_boto3,
        }
    finally:
        connection.close()


def _port(local: LocalAws) -> int:
    for endpoint in local.get(STATUS_PATH)["endpoints"]:
        if endpoint["name"] == ENDPOINT and endpoint["variants"]:
            return int(endpoint["variants"][0]["port"])
    raise NotFound(f"The local AWS has no endpoint {ENDPOINT}.", tip="Run `scripts/run --keep` first.")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables, or JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m rerank_ops.bench.overhead",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="checkpoint; default: the demo on the local AWS")
    parser.add_argument("--requests", type=int, default=500, help="measured requests of each way (%(default)s)")
    parser.add_argument("--starts", type=int, default=5, help="starts of the server process (%(default)s)")
    parser.add_argument("--json", action="store_true", help="JSON on stdout")
    args = parser.parse_args(argv)
    try:
        return _report(args)
    except (OpsError, LocalError) as error:
        console.error(str(error), error.tip)
        return 1


def _report(args: argparse.Namespace) -> int:
    from rerank_bundle.unpack import unpack

    with ExitStack() as stack:
        if args.model is not None:
            folder = args.model.resolve()
            made = partial(without_aws, folder)
        else:
            home = Home.of()
            local = LocalAws.load(home)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rerank-overhead-")))
            unpack(home.folder.parent / "demo" / "model.tar.gz", folder)
            made = partial(ways, folder, local)
        starts = [first_score_seconds(folder) for _ in range(args.starts)]
        taken = interleaved(stack.enter_context(made()), args.requests)
    direct = taken["Reranker.rerank"]
    rows = [
        (
            name,
            *(f"{_at(times, q):.2f}" for q in (50, 99)),
            *(f"{_at(times, q) - _at(direct, q):+.2f}" for q in (50, 99)),
        )
        for name, times in taken.items()
    ]
    healthy, scored = (statistics.median(column) for column in zip(*starts, strict=True)) if starts else (0.0, 0.0)
    if args.json:
        quantiles = {name: {f"p{q}_ms": _at(times, q) for q in (50, 99)} for name, times in taken.items()}
        console.emit({"ways": quantiles, "healthy_s": healthy, "first_score_s": scored})
    else:
        console.table(("one short document", "p50 ms", "p99 ms", "p50 over direct", "p99 over direct"), rows)
        console.table(
            ("start of serve.py, median", "s"), [("/ping 200", f"{healthy:.2f}"), ("first score", f"{scored:.2f}")]
        )
    return 0


def _at(times: Sequence[float], percent: int) -> float:
    return times[min(len(times) - 1, len(times) * percent // 100)]


if __name__ == "__main__":
    sys.exit(main())
