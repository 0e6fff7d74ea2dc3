"""Every family on the whole way: packaged, verified by its bundle's own code, opened from what was packaged."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rerank_bundle.build import build
from rerank_bundle.errors import ScoringError, TokenizerMismatch
from rerank_bundle.hub import parse_id
from rerank_bundle.known_models import KnownModel, shipped
from rerank_bundle.unpack import unpack
from rerank_bundle.verify import verify
from rerank_engine.errors import SettingsError
from rerank_engine.reranker.engine import Reranker
from rerank_engine.settings import Settings
from rerank_ops.commands.package import remarks
from rerank_ops.comparison.random_checkpoint import make_random_checkpoint
from rerank_ops.comparison.sample import requests, text
from rerank_ops.comparison.shapes import SHAPES

SMALL = {
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "pooler_hidden_size": 48,
    "vocab_size": 4000,
}
FAMILIES = {
    "ms-marco-MiniLM-L-6-v2": "bert",
    "bge-reranker-base": "xlm_roberta",
    "mxbai-rerank-base-v1": "deberta_v2",
}
every_family = pytest.mark.parametrize("shape", FAMILIES)
Make = Callable[[str], Path]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A checkpoint of a published shape, but small; not to be changed."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            shape = replace(SHAPES[name], config=SHAPES[name].config | SMALL)
            made[name] = make_random_checkpoint(tmp_path_factory.mktemp("small") / name, f"small {name}", shape, text())
        return made[name]

    return make


@every_family
def test_package_verify_and_rerank(shape: str, small: Make, inference: Path, tmp_path: Path) -> None:
    """The bundle names the family, its own code scores the canary, and unpacked it ranks as the checkpoint does."""
    [(query, passages)] = requests(1, 4)
    bundle = build(small(shape), tmp_path / "model.tar.gz", inference=inference)
    verified = verify(bundle.path)
    unpack(bundle.path, tmp_path / "model")
    packaged = Reranker.load(tmp_path / "model")
    expected = Reranker.load(small(shape), Settings()).rerank(query, passages)

    ranked = packaged.rerank(query, passages)

    model = bundle.manifest["model"]
    assert (FAMILIES[shape], f"small {shape}") == (model["family"], model["name"])
    assert verified.canary_logit == pytest.approx(model["canary"]["logit"], abs=1e-3)
    assert packaged.check_canary() == pytest.approx(model["canary"]["logit"], abs=1e-3)
    assert expected.results == ranked.results
    assert packaged.meaningless_scores
    assert len({result.logit for result in ranked.results}) == 4


@every_family
def test_the_window_is_the_positions(shape: str, small: Make) -> None:
    """512 tokens where positions are learned; more can be asked of relative positions only."""
    long = Settings(max_length=10_000)

    assert 512 == Reranker.load(small(shape), Settings()).max_length
    if FAMILIES[shape] in ("bert", "xlm_roberta"):
        with pytest.raises(SettingsError, match="RERANK_MAX_LENGTH is 10000, but this model has 512 positions"):
            Reranker.load(small(shape), long)
    else:
        assert 10_000 == Reranker.load(small(shape), long).max_length


@pytest.mark.parametrize("shape", ["ms-marco-MiniLM-L-6-v2", "bge-reranker-base"])
def test_the_longest_pair_fits(shape: str, small: Make) -> None:
    """A document that fills the window is read to its last position."""
    reranker = Reranker.load(small(shape), Settings())
    prepared = reranker.prepare("endpoint", ["latency " * 2000])

    logits = reranker.forward([pair.ids for pair in prepared.pairs])

    assert 512 == max(len(pair.ids) for pair in prepared.pairs)
    assert len(prepared.pairs) == len(logits)


def test_query_and_document_are_told_apart(small: Make, tmp_path: Path) -> None:
    """In BERT the document's token type is in the score; in the others' weights there is none."""
    source = small("ms-marco-MiniLM-L-6-v2")
    changed = shutil.copytree(source, tmp_path / "changed")
    tensors = load_file(source / "model.safetensors")
    tensors["bert.embeddings.token_type_embeddings.weight"][1] *= -3.0
    save_file(tensors, changed / "model.safetensors")
    pair = [("What is an endpoint?", "A web address behind which instances run a model.")]

    [other], [logit] = (Reranker.load(folder, Settings()).score(pair) for folder in (changed, source))

    assert abs(logit - other) > 1e-3


def test_position_ids_that_are_stored_are_packaged(small: Make, inference: Path, tmp_path: Path) -> None:
    """As bge-reranker-base has them: the weights file is shipped as it is."""
    source = shutil.copytree(small("bge-reranker-base"), tmp_path / "checkpoint")
    tensors = load_file(source / "model.safetensors")
    tensors["roberta.embeddings.position_ids"] = torch.arange(514)[None]
    save_file(tensors, source / "model.safetensors")

    bundle = build(source, tmp_path / "model.tar.gz", inference=inference)

    canary = bundle.manifest["model"]["canary"]
    [logit] = Reranker.load(source, Settings()).score([(canary["query"], canary["document"])])
    assert canary["logit"] == pytest.approx(logit, abs=1e-3)


def test_a_classifier_of_several_labels_is_refused(small: Make, inference: Path, tmp_path: Path) -> None:
    """With what the engine says of it, before anything is written."""
    source = shutil.copytree(small("mxbai-rerank-base-v1"), tmp_path / "nli")
    config = (source / "config.json").read_text().replace('"0": "LABEL_0"', '"0": "a", "1": "b", "2": "c"')
    (source / "config.json").write_text(config)

    with pytest.raises(ScoringError, match="classifier has 3 labels"):
        build(source, tmp_path / "model.tar.gz", inference=inference)

    assert not (tmp_path / "model.tar.gz").exists()


@pytest.mark.parametrize(
    ("name", "revision"),
    [
        ("BAAI/bge-reranker-base", "2cfc18c9415c912f9d8155881c133215df768a70"),
        ("mixedbread-ai/mxbai-rerank-base-v1", "800f24c113213a187e65bde9db00c15a2bb12738"),
        ("cross-encoder/ms-marco-MiniLM-L-6-v2", "c5ee24cb16019beea0893ab7796b1df96625c6b8"),
        ("cross-encoder/ms-marco-MiniLM-L6-v2", "c5ee24cb16019beea0893ab7796b1df96625c6b8"),
    ],
)
def test_the_siblings_are_pinned(name: str, revision: str) -> None:
    """`rerank package ID` needs no --revision for them."""
    found = parse_id(name, revision=None, known=shipped())

    assert found is not None
    assert revision == found.revision


@pytest.fixture
def cased(small: Make, tmp_path: Path) -> Path:
    """A BERT whose tokenizer.json keeps the case of words, while its tokenizer_config.json does not say so."""
    folder = shutil.copytree(small("ms-marco-MiniLM-L-6-v2"), tmp_path / "cased")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    return folder


def test_two_tokenizers_in_one_checkpoint_are_refused(cased: Path, inference: Path, tmp_path: Path) -> None:
    """Where token ids differ: both values and the way out are named, and nothing is written."""
    with pytest.raises(TokenizerMismatch, match=r"do_lower_case false, tokenizer_config.json true") as caught:
        build(cased, tmp_path / "model.tar.gz", inference=inference)

    assert 'write "do_lower_case": false into tokenizer_config.json' in str(caught.value.tip)
    assert not (tmp_path / "model.tar.gz").exists()


def test_saying_so_is_enough(cased: Path, inference: Path, tmp_path: Path) -> None:
    """As the refusal asks; what changes no token ids is told, not refused."""
    said = {"tokenizer_class": "BertTokenizer", "do_lower_case": False, "truncation_side": "left"}
    (cased / "tokenizer_config.json").write_text(json.dumps(said))

    report = build(cased, tmp_path / "model.tar.gz", inference=inference)

    [told] = report.tokenizer
    assert told.startswith('tokenizer.json has truncation_side "right", tokenizer_config.json "left"')
    assert any("truncation_side" in remark for remark in remarks(report))


def test_published_scores_are_the_better_judge(cased: Path, inference: Path, tmp_path: Path) -> None:
    """A model that gives its published scores as it is needs no mending: the difference is told."""
    table = shipped()
    scores = Reranker.load(cased, Settings()).score(list(table.pairs))
    known = replace(table, models={"org/cased": KnownModel("org/cased", None, tuple(scores), {})})

    report = build(cased, tmp_path / "model.tar.gz", name="org/cased", known=known, inference=inference)

    assert report.manifest["model"]["acceptance"]["checked"]
    assert "do_lower_case" in report.tokenizer[0]
