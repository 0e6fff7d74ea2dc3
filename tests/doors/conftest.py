"""For the doors' tests: an engine without torch, a real bundle, its server's process, AWS's toolkit around it."""

import contextlib
import importlib
import importlib.util
import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

from rerank_engine.errors import FieldError, InvalidRequest, NotFinite
from rerank_engine.hosting import Hosting
from rerank_engine.reranker.ranking import rank
from rerank_engine.service.service import Service
from rerank_engine.settings import Settings
from rerank_engine.types import Prepared, PreparedDocument, RerankOptions, RerankResult, Timings, TokenPair

PATIENCE_S = 120.0
POISON = 0x2620  # ☠ in a document makes every batch that holds it fail


@dataclass
class FakeEngine:
    """Tokens are characters, the logit of a pair is a tenth of its length. Records its forward passes."""

    model_name: str = "fake/model"

    def __post_init__(self) -> None:
        self.passes: list[int] = []

    def prepare(self, query: str, documents: Sequence[str], options: RerankOptions) -> Prepared:
        if query == "too long":
            raise InvalidRequest("The query has 9 tokens, 8 fit.")
        if any(text == "too long" for text in documents):
            wrong = FieldError(("documents", list(documents).index("too long")), "has 9 tokens, 8 fit", "value", 9)
            raise InvalidRequest("A document has 9 tokens, 8 fit.", fields=(wrong,))
        pairs = [TokenPair([ord(sign) for sign in query + text], len(text), False) for text in documents]
        read = [PreparedDocument(range(at, at + 1), len(text), False) for at, text in enumerate(documents)]
        return Prepared(pairs, read, options, len(query), False, 0.0)

    def forward(self, token_id_lists: Sequence[Sequence[int]], /) -> list[float]:
        self.passes.append(len(token_id_lists))
        if any(POISON in ids for ids in token_id_lists):
            raise NotFinite("1 of the scores is NaN.")
        return [len(ids) / 10 for ids in token_id_lists]

    def finish(self, prepared: Prepared, logits: Sequence[float], timings: Timings) -> RerankResult:
        return rank(prepared, logits, timings)

    def check_canary(self) -> float:
        return self.forward([[1]])[0]


@pytest.fixture(scope="session")
def engine_class() -> type[FakeEngine]:
    """For fixtures that live longer than a test."""
    return FakeEngine


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def make_service(engine: FakeEngine) -> Callable[..., Service]:
    """A service over the fake engine; keywords are settings, and `batch=True` puts it into a batch transform job."""

    def make(*, batch: bool = False, **settings: object) -> Service:
        return Service(engine, Settings(**settings), hosting=Hosting(batch=batch))

    return make


@pytest.fixture(scope="session")
def bundle_dir(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real bundle, unpacked as SageMaker does it: config.json, …, code/inference.py. Do not write to it."""
    from rerank_bundle.build import build
    from rerank_bundle.unpack import unpack

    base = tmp_path_factory.mktemp("bundle")
    report = build(tiny_checkpoint, base / "model.tar.gz", name="rerank-demo", source_id="demo")
    unpack(report.path, base / "model")
    return base / "model"


TOOLKIT_SHIM = {
    "transformers/__init__.py": "AutoTokenizer = pipeline = None\n",
    "transformers/file_utils.py": "is_tf_available = lambda: False\nis_torch_available = lambda: True\n",
    "transformers/pipelines.py": "SUPPORTED_TASKS = {}\nclass Pipeline: ...\n",
    "transformers/utils/__init__.py": "",
    "transformers/utils/import_utils.py": "is_torch_bf16_gpu_available = lambda: False\n",
    "pkg_resources.py": (
        "from importlib.resources import files\n"
        "resource_filename = lambda package, name: str(files(package) / name.lstrip('/'))\n"
    ),
}


@pytest.fixture(scope="session")
def toolkit_shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the import path under which AWS's serving toolkit imports without what it does not use for us.

    sagemaker-huggingface-inference-toolkit 2.6.0 imports names of transformers 4 for its own pipelines, and
    sagemaker-inference 1.10.1 asks pkg_resources (gone from setuptools 82) for the path of a file. Nothing else is
    replaced: the handler service, MMS's Service and its wire format, and MMS itself are the real ones.
    """
    if importlib.util.find_spec("sagemaker_huggingface_inference_toolkit") is None:
        pytest.skip("needs AWS's toolkit: pip install --no-deps -r tests/requirements-toolkit.txt")
    folder = tmp_path_factory.mktemp("toolkit_shim")
    for name, text in TOOLKIT_SHIM.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


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


@contextlib.contextmanager
def _serving(bundle_dir: Path) -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def serve(*flags: str, model_dir: Path = bundle_dir, **env: str) -> Server:
        started.append(Server(model_dir, *flags, **env))
        return started[-1]

    yield serve
    for server in started:
        server.process.kill()
        server.ended()


@pytest.fixture
def serve(bundle_dir: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers, of the bundle unless told otherwise; kills what a failed test left."""
    with _serving(bundle_dir) as start:
        yield start


@pytest.fixture(scope="module")
def serve_all(bundle_dir: Path) -> Iterator[Callable[..., Server]]:
    """As `serve`, for servers that all tests of a file share."""
    with _serving(bundle_dir) as start:
        yield start


@dataclass(frozen=True)
class Sent:
    """One response as MMS's Python half hands it to its Java half."""

    status: int
    phrase: str
    content_type: str
    headers: dict[str, str]
    body: bytes


def decode(message: bytes) -> Sent:
    """Read MMS's binary response (mms/protocol/otf_message_handler.py, create_predict_response)."""
    position = 0

    def number() -> int:
        nonlocal position
        (value,) = struct.unpack_from("!i", message, position)
        position += 4
        return int(value)

    def text() -> bytes:
        nonlocal position
        length = number()
        position += length
        return bytes(message[position - length : position])

    number(), text(), text()  # code and message of the whole, request id
    content_type, status, phrase = text().decode(), number(), text().decode()
    headers = {text().decode(): text().decode() for _ in range(number())}
    return Sent(status, phrase, content_type, headers, text())


Invoke = Callable[..., Sent]
_SWAPPED = ("rerank_engine", "inference", "transformers", "sagemaker_inference", "mms", "pkg_resources")
_TOOLKIT = "sagemaker_huggingface_inference_toolkit"


@pytest.fixture(scope="module")
def start(toolkit_shim: Path) -> Iterator[Callable[[Path], Invoke]]:
    """Starts the handler service on a model folder; the bundle's own code/ is imported, not this checkout's."""
    names = (*_SWAPPED, _TOOLKIT)
    path, kept = list(sys.path), {name: sys.modules[name] for name in sys.modules if name.split(".")[0] in names}
    for name in kept:
        del sys.modules[name]
    sys.path.insert(0, str(toolkit_shim))

    def start(model_dir: Path) -> Invoke:
        for name in [name for name in sys.modules if name.split(".")[0] in ("rerank_engine", "inference")]:
            del sys.modules[name]
        service = importlib.import_module("mms.service").Service("model", str(model_dir), {}, None, None, 1)
        handler = importlib.import_module(f"{_TOOLKIT}.handler_service").HuggingFaceHandlerService()
        service._entry_point = handler.handle
        handler.initialize(service.context)

        def invoke(body: bytes, **headers: str) -> Sent:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            content_type = named.get("Content-Type", "")
            parameters = [{"name": "body", "value": bytearray(body), "contentType": content_type}]
            sent = [{"name": name.encode(), "value": value.encode()} for name, value in named.items()]
            return decode(service.predict([{"requestId": b"r1", "parameters": parameters, "headers": sent}]))

        return invoke

    yield start
    for name in [name for name in sys.modules if name.split(".")[0] in names]:
        del sys.modules[name]
    sys.modules.update(kept)
    sys.path[:] = path


@pytest.fixture(scope="module")
def invoke(start: Callable[[Path], Invoke], bundle_dir: Path) -> Invoke:
    """Invokes the bundle."""
    return start(bundle_dir)
