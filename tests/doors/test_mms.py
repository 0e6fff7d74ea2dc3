"""AWS's whole serving stack, its `serve` command and its Java server, on an unpacked bundle.

It runs in namespaces of its own (mount, process ids) because it writes /etc/sagemaker-mms.properties and refuses to run
twice on one machine; when the namespace ends, all its processes do.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.mms

PATIENCE_S = 120.0
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
GOOD = {"query": "How do I scale an endpoint?", "documents": ["Add instances.", {"text": "Bananas."}]}
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=KILL"]
# A private /etc (an overlay, its upper half in memory), so that the real one is not written to.
ENTER = """
set -e
mount -t tmpfs tmpfs "$SCRATCH" && mkdir "$SCRATCH/upper" "$SCRATCH/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$SCRATCH/upper,workdir=$SCRATCH/work" /etc
"""


def in_namespace(command: str) -> list[str]:
    return [*NAMESPACE, "bash", "-c", ENTER + command]


def free_port() -> int:
    """A free port that MMS accepts (none above 32,767); parallel test processes start to look elsewhere."""
    for port in range(21_000 + os.getpid() % 10_000, 32_767):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


@dataclass
class Log:
    """What the container writes, line by line."""

    lines: list[str] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    def read(self, stream: Iterable[str]) -> None:
        for line in stream:
            with self.news:
                self.lines.append(line)
                self.news.notify_all()

    def wait_for(self, text: str) -> str | None:
        """The first line that holds `text`; None when none came."""

        def found() -> list[str]:
            return [line for line in self.lines if text in line]

        with self.news:
            self.news.wait_for(found, PATIENCE_S)
            return next(iter(found()), None)


@pytest.fixture(scope="module")
def log() -> Log:
    """Of the stack."""
    return Log()


@pytest.fixture(scope="module")
def stack(
    log: Log, toolkit_shim: Path, bundle_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """The stack, listening; killed with all its processes at the end."""
    if shutil.which("java") is None:
        pytest.skip("needs Java 17 or newer on PATH")
    root = tmp_path_factory.mktemp("mms")
    for name in ("scratch", "java", "logs"):
        (root / name).mkdir()
    if subprocess.run(in_namespace("true"), env={**os.environ, "SCRATCH": str(root / "scratch")}).returncode != 0:
        pytest.skip("needs permission to make user, mount and process namespaces (unshare -Urmpf) with overlayfs")
    port = free_port()
    env = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(toolkit_shim),
        "SCRATCH": str(root / "scratch"),
        "SAGEMAKER_BASE_DIR": str(bundle_dir.parent),
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        "SAGEMAKER_MODEL_SERVER_VMARGS": f"-XX:-UseContainerSupport -Djava.io.tmpdir={root / 'java'}",
        "MMS_INFERENCE_ADDRESS": f"http://127.0.0.1:{port}",  # its own default is every address
        "MMS_MANAGEMENT_ADDRESS": f"http://127.0.0.1:{port}",
        "LOG_LOCATION": str(root / "logs"),
        "METRICS_LOCATION": str(root / "logs"),
        "OMP_NUM_THREADS": "1",
        "RERANK_EMF_NAMESPACE": "Rerank/test",
    }
    process = subprocess.Popen(
        in_namespace("exec serve"), env=env, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        reader = threading.Thread(target=log.read, args=(process.stdout,), daemon=True)
        reader.start()
        if log.wait_for("Model server started") is None:
            pytest.fail(f"the stack did not start:\n{''.join(log.lines)}")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as client:
            yield client
    finally:
        process.kill()
        process.wait()
        reader.join(PATIENCE_S)


def test_metrics_and_logs_reach_cloudwatch_as_json(stack: httpx.Client, log: Log) -> None:
    """Java puts words before every line that Python prints; ours go past it, whole, and without the query."""
    stack.post("/invocations", json=GOOD)

    metrics, request = log.wait_for('"_aws"'), log.wait_for('"event": "request"')

    assert "Rerank/test" == json.loads(metrics or "{}")["_aws"]["CloudWatchMetrics"][0]["Namespace"]
    assert (200, "jina", 2) == tuple(json.loads(request or "{}")[name] for name in ("status", "dialect", "pairs"))
    assert GOOD["query"] not in "".join(log.lines)


def test_ping(stack: httpx.Client) -> None:
    """The stack says it is healthy."""
    assert 200 == stack.get("/ping").status_code


def test_invocation(stack: httpx.Client, bundle_dir: Path) -> None:
    """Scores are those of the engine, and the caller's attributes come back."""
    from rerank_engine.reranker.engine import Reranker

    expected = Reranker.load(bundle_dir).rerank(GOOD["query"], ["Add instances.", "Bananas."])

    answer = stack.post("/invocations", json=GOOD, headers={ATTRIBUTES: "trace=7"})

    assert (200, "application/json", "trace=7") == (
        answer.status_code,
        answer.headers["content-type"],
        answer.headers[ATTRIBUTES].split(";")[0],
    )
    assert [(one.index, pytest.approx(one.score, abs=1e-6)) for one in expected.results] == [
        (entry["index"], entry["relevance_score"]) for entry in answer.json()["results"]
    ]


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status"),
    [
        (b"{", "application/json", "*/*", 400),
        (b"{}", "text/html", "*/*", 415),
        (b"{}", "application/json", "text/csv", 406),
        (b'{"query": "q"}', "application/json; charset=utf-8", "application/json", 422),
    ],
)
def test_own_statuses(stack: httpx.Client, body: bytes, content_type: str, accept: str, status: int) -> None:
    """Our statuses and bodies pass through AWS's stack, which makes 400 of every exception."""
    answer = stack.post("/invocations", content=body, headers={"Content-Type": content_type, "Accept": accept})

    assert status == answer.status_code
    assert "detail" in answer.json()


def test_json_lines(stack: httpx.Client) -> None:
    """A batch of lines comes back line by line."""
    body = "\n".join([json.dumps(GOOD), "", json.dumps(GOOD)])
    headers = {"Content-Type": "application/jsonlines", "Accept": "application/jsonlines"}

    answer = stack.post("/invocations", content=body, headers=headers)

    assert "application/jsonlines" == answer.headers["content-type"]
    assert [None, 400, None] == [json.loads(line).get("status") for line in answer.text.split("\n")]
