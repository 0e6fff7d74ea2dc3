"""`rerank compare`: what is measured, how it is told."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

from rerank_engine.models import recognise
from rerank_ops import cli
from rerank_ops.comparison import page, report, sample
from rerank_ops.comparison.measure import Candidate, Measured, worker
from rerank_ops.comparison.quality import Quality
from rerank_ops.comparison.random_checkpoint import make_random_checkpoint
from rerank_ops.comparison.shapes import SHAPES
from rerank_ops.errors import Unfinished

SMALL = {
    "hidden_size": 24,
    "pooler_hidden_size": 24,
    "intermediate_size": 32,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
}
ABOUT: dict[str, Any] = {
    "model": "org/first",
    "family": "bert",
    "layers": 6,
    "parameters": 22_713_601,
    "window": 512,
    "random": False,
    "device": "cpu",
    "precision": "float32",
    "load_s": 1.0,
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint that does not say its weights are random; not to be changed."""
    shape = replace(SHAPES["bge-reranker-base"], config=SHAPES["bge-reranker-base"].config | SMALL)
    folder = make_random_checkpoint(tmp_path_factory.mktemp("small") / "trained", "org/small", shape, sample.text())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"rerank_demo": False}))
    return folder


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three documents and two queries in BEIR's layout."""
    folder = tmp_path_factory.mktemp("data") / "toy"
    (folder / "qrels").mkdir(parents=True)
    texts = {"d1": "an endpoint runs a model", "d2": "bananas are yellow", "d3": "a model behind an endpoint"}
    documents = [json.dumps({"_id": key, "title": "", "text": text}) for key, text in texts.items()]
    (folder / "corpus.jsonl").write_text("\n".join(documents) + "\n")
    queries = [json.dumps({"_id": "q1", "text": "endpoint model"}), json.dumps({"_id": "q2", "text": "yellow bananas"})]
    (folder / "queries.jsonl").write_text("\n".join(queries) + "\n")
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td3\t1\nq2\td2\t1\n")
    return folder


def model(label: str, *rounds: tuple[float, ...], **about: Any) -> Measured:
    return Measured(
        label, ABOUT | about, 90_000_000, 500_000_000, None, 150.4, rounds, tuple(map(sum, rounds)), pairs=20
    )


def comparison(**changes: Any) -> report.Comparison:
    values: dict[str, Any] = {
        "models": [
            model("first", (1.0, 1.0), (3.0, 1.0), (1.0, 1.0)),
            model("<second>", (2.0, 2.0), (6.0, 2.0), (5.0, 1.0), random=True, layers=12),
        ],
        "requests": 2,
        "passages": 10,
        "words": 119,
        "machine": "a machine",
        "quality": None,
        "reported": {},
    }
    return report.Comparison(**(values | changes))


@pytest.mark.parametrize(
    ("shape", "parameters"),
    [
        ("tiny", 33_046_273),
        ("turbo", 37_771_777),
        ("base", 137_369_089),
        ("ms-marco-MiniLM-L-6-v2", 22_713_601),
        ("bge-reranker-base", 278_044_417),
        ("mxbai-rerank-base-v1", 184_422_913),
    ],
)
def test_shapes_are_the_published_ones(shape: str, parameters: int) -> None:
    """To the last weight; those of base follow from its config."""
    config = SHAPES[shape].config
    with torch.device("meta"):
        weights = recognise(config).from_config(config).parameters()

    assert parameters == sum(weight.numel() for weight in weights)


def test_random_checkpoints_are_repeatable_and_say_what_they_are(tmp_path: Path) -> None:
    """Equal arguments give equal bytes, and the config marks the scores as meaningless."""
    shape = replace(SHAPES["mxbai-rerank-base-v1"], config=SHAPES["mxbai-rerank-base-v1"].config | SMALL)
    one, other = (make_random_checkpoint(tmp_path / name, "called", shape, sample.text()) for name in ("a", "b"))

    assert {"config.json", "model.safetensors", "tokenizer.json"} == {file.name for file in one.iterdir()}
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    config = json.loads((one / "config.json").read_text())
    assert (True, "called", "float16") == (config["rerank_demo"], config["_name_or_path"], config["torch_dtype"])


def test_the_sample_is_fixed_and_of_real_lengths() -> None:
    """Different passages of 45 to 230 words, the same ones every time."""
    made = sample.requests(8, 10)

    assert made == sample.requests(8, 10)
    assert made[:2] == sample.requests(2, 10)
    passages = [passage for _, documents in made for passage in documents]
    assert len(passages) == len(set(passages))
    assert {45, 60, 75, 95, 120, 150, 180, 230} == {len(passage.split()) for passage in passages}
    assert 8 == len({query for query, _ in made})
    assert 112 == sample.mean_words(made)


def test_speed_is_compared_round_by_round() -> None:
    """A slow round of the machine falls on all models, so it is the ratio within a round that counts."""
    first, second = comparison().models

    assert 10.0 == first.pairs_per_s
    assert 20 / 6 == pytest.approx(second.pairs_per_s)
    assert 0.5 == second.speed_against(first)
    assert (1.0, 2.0) == (first.latency_s(50), second.latency_s(50))
    assert 5.75 == pytest.approx(second.latency_s(95))
    assert 4.0 == model("once", (4.0,)).latency_s(95)


def test_rows_are_read_against_their_heads() -> None:
    """A cell per head; quality and reported figures only where there are some."""
    quality = Quality("toy", 97, 100, 0.703, {"first": (0.75, 0.7, 0.8)})
    plain, full = comparison(), comparison(quality=quality, reported={"first": "49.60"})

    rows = report.rows(full)

    assert ("model", "nDCG@10", "BEIR") == (report.headers(full)[0], *report.headers(full)[-2:])
    assert ("first", "22.7", "6", "512", "90", "500", "10.0", "1.00", "1,000", "2,500") == rows[0][:-2]
    assert ("0.750 [0.700, 0.800]", "49.60") == rows[0][-2:]
    assert ("–", "") == rows[1][-2:]
    assert {len(report.headers(plain))} == {len(row) for row in report.rows(plain)}


def test_what_one_chooses_a_model_by_has_a_column() -> None:
    """Parameters, layers, window, disk, memory, pairs per second, latency, quality; published figures apart."""
    quality = Quality("toy", 97, 100, 0.703, {"first": (0.75, 0.7, 0.8)})

    heads = report.headers(comparison(quality=quality, reported={"first": "49.60"}))

    sizes = ("model", "M weights", "layers", "window", "disk MB", "peak MB")
    assert (*sizes, "pairs/s", "speed ×", "p50 ms", "p95 ms", "nDCG@10", "BEIR") == heads


def test_remarks_say_what_must_not_be_overlooked() -> None:
    """Random weights, what quality was measured on, what was not measured here."""
    quality = Quality("toy", 97, 100, 0.703, {"first": (0.75, 0.7, 0.8)})

    random, judged, published = comparison(quality=quality, reported={"first": "49.60"}).remarks

    assert "Random weights: <second>." in random
    assert "BM25's first 100 of toy reranked, 97 queries; BM25 itself 0.703" in judged
    assert "not measured here" in published
    assert [] == comparison(models=comparison().models[:1]).remarks
    assert "3 rounds of 2 requests with 10 passages each (119 words on average, 150 tokens" in comparison().method


class Page(HTMLParser):
    """Reads a page: its text, what it loads, and whether its tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [f"{tag} {name}" for name, _ in attrs if name in ("src", "href", "data", "srcset")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_stands_alone() -> None:
    """It loads nothing, escapes names, and shows every row and picture."""
    quality = Quality("toy & co", 2, 10, 0.5, {"first": (0.75, 0.7, 0.8)})
    shown = comparison(quality=quality, reported={"first": "49.60"})

    text = page.html(shown)

    parsed = Page(text)
    assert ([], []) == (parsed.open, parsed.loads)
    assert not re.search(r"url\(|@import|<script|https?://", text)
    cells = {cell for row in report.rows(shown) for cell in row}
    assert cells <= {*parsed.texts, ""}
    assert {*report.headers(shown)} <= {*parsed.texts}
    assert 3 == text.count("<svg")
    assert "nDCG@10 on toy &amp; co" in text


def test_compare_measures_and_tells(
    small: Path, tiny_checkpoint: Path, collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two models, each in its process, quality for the one whose weights are not random, as JSON and as a page."""
    models = [str(small), str(tiny_checkpoint)]
    arguments = ["compare", *models, "--rounds", "2", "--requests", "2", "--passages", "2", "--json"]

    assert 0 == cli.main([*arguments, "--data", str(collection), "--html", str(tmp_path / "page.html")])

    told = capsys.readouterr()
    found = json.loads(told.out)
    trained, made = found["models"]
    assert ("trained", "org/small", "xlm_roberta", 1, 512) == tuple(
        trained[key] for key in ("label", "model", "family", "layers", "window")
    )
    assert (tiny_checkpoint.name, "jina_bert") == (made["label"], made["family"])
    assert (True, False) == (made["random"], trained["random"])
    assert 1.0 == trained["speed_against_first"]
    for one in found["models"]:
        assert one["pairs_per_s"] > 0
        assert 0 < one["latency_s"]["p50"] <= one["latency_s"]["p95"]
        assert one["cpu_s_per_pair"] > 0
        assert one["memory_bytes"] > one["disk_bytes"] > 0
        assert one["tokens_per_pair"] > 100
    assert ("toy", 2) == (found["quality"]["collection"], found["quality"]["queries"])
    assert 0.5 < trained["ndcg_at_10"] <= 1
    assert made["ndcg_at_10"] is None
    assert f"round 2 of 2: {tiny_checkpoint.name}" in told.err
    assert "trained" in (tmp_path / "page.html").read_text()


def test_a_table_is_for_people(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table on stdout, method and remarks on stderr."""
    assert 0 == cli.main(["compare", str(small), "--rounds", "1", "--requests", "1", "--passages", "1"])

    told = capsys.readouterr()
    assert "pairs/s" in told.out
    assert "1.00" in told.out
    assert "each model in a process of its own" in told.err
    assert "Random weights" not in told.err


def test_a_model_that_cannot_be_loaded_is_named(small: Path, tmp_path: Path) -> None:
    """With what the engine says and its tip."""
    (tmp_path / "config.json").write_text((small / "config.json").read_text())
    (tmp_path / "tokenizer.json").write_text((small / "tokenizer.json").read_text())

    with (
        pytest.raises(Unfinished, match=r"broken: CheckpointError: .*has no model\.safetensors"),
        worker(Candidate("broken", tmp_path)),
    ):
        pass


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "ERROR No model is named."),
        (["demo", "--rounds", "0"], 1, "ERROR --rounds, --requests, --passages and --top must be at least 1"),
        (["demo", "demo"], 1, "ERROR demo: named twice"),
        (["nothing.tar.gz"], 1, "ERROR 'nothing.tar.gz' is neither a model.tar.gz nor a folder"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_measured(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """ERROR on stderr; exit code 2 where the command line lacks something."""
    assert code == cli.main(["compare", *arguments])
    assert said in capsys.readouterr().err


def test_the_tip_for_what_is_no_model_fits_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`rerank compare` and `rerank serve` share the message: the tip sends nobody from one to the other."""
    assert 1 == cli.main(["compare", "nothing.tar.gz"])
    tip = capsys.readouterr().err.splitlines()[-1]

    assert tip.startswith("TIP Build one with `rerank package SOURCE`, or name demo")
    assert "serve" not in tip
