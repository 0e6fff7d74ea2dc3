import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rerank_bundle import acceptance
from rerank_bundle.build import BundleReport, build
from rerank_bundle.errors import BundleError, ScoreMismatch
from rerank_bundle.isolated import score_in_isolation
from rerank_bundle.known_models import KnownModels, parse, shipped
from rerank_bundle.manifest import encode
from rerank_bundle.verify import verify

NAME = "org/published"
QUERY = "How do I lower the latency of an endpoint?"
DOCUMENTS = (
    "Sort the documents by length and keep the token budget small; then short documents do not wait for long ones.",
    "The bridge was built in the nineteenth century and carried trains across the river until the war.",
)


@pytest.fixture(scope="session")
def undeclared(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo checkpoint without a word about its slopes or about being a demo, as published ones are."""
    folder = tmp_path_factory.mktemp("undeclared") / "fine-tune"
    folder.mkdir()
    for path in tiny_checkpoint.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    del config["alibi_tail_scale"], config["rerank_demo"]
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="session")
def logits(undeclared: Path, unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[float, list[float]]:
    """What the checkpoint scores for the pairs, by tail scale: what a publisher would have published."""
    folders = {}
    for scale in (1.0, 0.5):
        folders[scale] = tmp_path_factory.mktemp("variant")
        for path in undeclared.iterdir():
            (folders[scale] / path.name).write_bytes(path.read_bytes())
        manifest = {"format": 1, "model": {"name": NAME, "alibi_tail_scale": scale}}
        (folders[scale] / "bundle.json").write_bytes(encode(manifest))
    pairs = [(QUERY, document) for document in DOCUMENTS]
    scores = score_in_isolation(unpacked / "code", list(folders.values()), pairs, settings={})
    return {scale: list(logits) for scale, logits in zip(folders, scores.logits, strict=True)}


def _table(logits: list[float] | None, shape: Mapping[str, int] | None = None) -> KnownModels:
    model = {"revision": None, "logits": logits, "shape": shape}
    return parse({"query": QUERY, "documents": list(DOCUMENTS), "tolerance": 1e-3, "models": {NAME: model}})


@pytest.fixture(scope="session")
def halved(
    undeclared: Path, logits: dict[float, list[float]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[BundleReport, KnownModels]:
    """A bundle whose published scores are those of halved slopes, and the table that says so."""
    table = _table(logits[0.5])
    output = tmp_path_factory.mktemp("halved") / "model.tar.gz"
    return build(undeclared, output, name=NAME, known=table), table


def test_published_scores_settle_the_slopes(
    halved: tuple[BundleReport, KnownModels], logits: dict[float, list[float]]
) -> None:
    """Of both slope variants the one is recorded that scores as published, with the scores."""
    model = halved[0].manifest["model"]
    pairs = [
        {"query": QUERY, "document": document, "published": published, "logit": round(published, 4)}
        for document, published in zip(DOCUMENTS, logits[0.5], strict=True)
    ]

    assert acceptance.gap(logits[0.5], logits[1.0]) > 0.01
    assert 0.5 == model["alibi_tail_scale"]
    assert {"checked": True, "model": NAME, "tolerance": 1e-3, "pairs": pairs} == model["acceptance"]


def test_verify_scores_the_published_pairs(
    halved: tuple[BundleReport, KnownModels], logits: dict[float, list[float]]
) -> None:
    """The bundle's engine reads the settled slopes from the manifest."""
    report, table = halved

    assert logits[0.5] == pytest.approx(verify(report.path, known=table).acceptance_logits, abs=1e-4)


def test_verify_refuses_what_is_no_longer_as_published(
    halved: tuple[BundleReport, KnownModels], logits: dict[float, list[float]]
) -> None:
    """A bundle is held against the table of the kit that verifies it."""
    with pytest.raises(ScoreMismatch, match=f"not those published for {NAME}"):
        verify(halved[0].path, known=_table([logits[0.5][0], logits[0.5][1] + 0.01]))


def test_other_scores_are_refused_under_a_published_name(
    undeclared: Path, logits: dict[float, list[float]], tmp_path: Path
) -> None:
    """Neither variant matches: the message shows what was expected and what each one gave, and nothing is written."""
    published = [logits[0.5][0] + 0.002, logits[0.5][1]]
    with pytest.raises(ScoreMismatch) as caught:
        build(undeclared, tmp_path / "model.tar.gz", name=NAME, known=_table(published))
    first, second = (f"{value:.4f}" for value in published)

    assert f"expected {first}, {second}" in str(caught.value)
    assert "(alibi_tail_scale 0.5)" in str(caught.value)
    assert "--name" in (caught.value.tip or "")
    assert [] == list(tmp_path.iterdir())


def test_the_shape_alone_does_not_bind(undeclared: Path, logits: dict[float, list[float]], tmp_path: Path) -> None:
    """A fine-tune, or random weights for a benchmark, has a published shape and other scores: recorded as unchecked."""
    shape = {"hidden_size": 96, "num_hidden_layers": 2}
    other = [value + 1.0 for value in logits[1.0]]
    model = build(undeclared, tmp_path / "model.tar.gz", known=_table(other, shape)).manifest["model"]

    assert ("fine-tune", 1.0) == (model["name"], model["alibi_tail_scale"])
    assert {"checked": False, "reason": f"it has the shape of {NAME}, but other weights", "pairs": []} == (
        model["acceptance"]
    )


@pytest.mark.parametrize(
    ("name", "config", "scored"),
    [
        (NAME, {"position_embedding_type": "alibi"}, (None, 1.0, 0.5)),
        (NAME, {"position_embedding_type": "alibi", "alibi_tail_scale": 0.7}, (None, 1.0, 0.5)),
        ("other", {"position_embedding_type": "alibi"}, (None, 1.0, 0.5)),
        ("other", {"position_embedding_type": "alibi", "alibi_tail_scale": 0.7}, (None,)),
        (NAME, {"position_embedding_type": "absolute"}, (None,)),
    ],
)
def test_slopes_are_tried_where_they_are_open(name: str, config: dict[str, Any], scored: tuple[float | None]) -> None:
    """Models without ALiBi have no variants; a declared value is doubted only against published scores."""
    assert scored == acceptance.variants(config, acceptance.expect(name, config, _table([1.0, 2.0])))


def test_without_published_scores_the_default_stands() -> None:
    """jina-reranker-v1-base-en has no published scores: it is packaged as its config says, unchecked."""
    expectation = acceptance.expect("jinaai/jina-reranker-v1-base-en", {}, shipped())
    verdict = acceptance.judge(expectation, (None, 1.0, 0.5), [(), (), ()], tolerance=1e-3)

    assert acceptance.Verdict(0, False, "no scores are published for jinaai/jina-reranker-v1-base-en") == verdict


@pytest.mark.parametrize(
    ("config", "logits", "expected"),
    [
        ({"alibi_tail_scale": 0.7}, [[1.0], [2.0], [3.0]], 0.7),
        ({}, [[3.0], [2.0], [3.0]], 0.5),
        ({}, [[2.0], [2.0], [3.0]], 1.0),
        ({}, [[2.0], [2.0], [2.0]], 1.0),
    ],
)
def test_the_default_is_written_down_as_a_number(
    config: dict[str, Any], logits: list[list[float]], expected: float
) -> None:
    """What the engine takes by default is what scores the same."""
    assert expected == acceptance.settled_scale(config, (None, 1.0, 0.5), 0, logits)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("jinaai/jina-reranker-v1-tiny-en", (2.5911, 0.1122)),
        ("jinaai/jina-reranker-v1-turbo-en", (1.8295, -2.8908)),
        ("BAAI/bge-reranker-base", (6.15733337, -3.65939403)),
        ("cross-encoder/ms-marco-MiniLM-L-6-v2", (8.500708, -2.541011)),
        ("mixedbread-ai/mxbai-rerank-base-v1", None),
        ("jinaai/jina-reranker-v2-base-multilingual", (1.6533, -1.6455)),
        ("jinaai/jina-reranker-v1-base-en", None),
    ],
)
def test_the_shipped_table(name: str, expected: tuple[float, ...] | None) -> None:
    """The published logits are those of the specification."""
    model = shipped().named(name)

    assert model is not None
    assert expected == model.logits


def test_a_table_with_a_logit_missing_is_refused() -> None:
    """A model has one logit per document."""
    with pytest.raises(BundleError, match="has 1 published logits for 2 documents"):
        _table([1.0])


@pytest.mark.parametrize(("layers", "expected"), [(4, "jinaai/jina-reranker-v1-tiny-en"), (12, None)])
def test_renamed_weights_are_recognised_by_their_shape(layers: int, expected: str | None) -> None:
    """The fingerprint of tiny and turbo is vocabulary, width, heads and layers."""
    shape = {"vocab_size": 61056, "hidden_size": 384, "num_attention_heads": 12, "num_hidden_layers": layers}
    model = shipped().shaped(shape)

    assert expected == (model.name if model else None)
