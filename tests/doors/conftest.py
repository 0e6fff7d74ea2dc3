"""An engine without torch for the doors' tests, and a real bundle, unpacked."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from rerank_engine.errors import FieldError, InvalidRequest, NotFinite
from rerank_engine.hosting import Hosting
from rerank_engine.ranking import rank
from rerank_engine.service import Service
from rerank_engine.settings import Settings
from rerank_engine.types import Prepared, PreparedDocument, RerankOptions, RerankResult, Timings, TokenPair

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
