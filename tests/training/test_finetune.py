"""rerank finetune, and rerank distill from a checkpoint: what is taken over of it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rerank_bundle.demo import make_demo_checkpoint
from rerank_engine.reranker.engine import Reranker
from rerank_engine.settings import Settings
from rerank_ops.cli import main
from rerank_ops.comparison.random_checkpoint import make_random_checkpoint
from rerank_ops.comparison.shapes import SHAPES
from rerank_training.distill import load_start
from rerank_training.loop import score_pairs
from rerank_training.pairs import PairTexts

FAST = ["--batch", "8", "--list-size", "6", "--hard", "12", "--learning-rate", "3e-3", "--warmup", "5"]
MACHINE = ["--threads", "1", "--device", "cpu", "--watch", "20", "--store", "fp32"]
SHAPE = ["--layers", "3", "--width", "48", "--feed-forward", "48", "--vocabulary", "400"]
STILL = ["--steps", "1", "--learning-rate", "1e-12"]  # a step that changes no weight by more than rounding
SMALL = {"hidden_size": 24, "pooler_hidden_size": 24, "intermediate_size": 32, "num_attention_heads": 2}


def finetune(start: Path, pairs: Path, output: Path, *more: str) -> int:
    return main(["finetune", str(start), str(pairs), "--output", str(output), *FAST, *MACHINE, *more])


def test_finetuning_starts_from_a_checkpoint_of_the_published_form(
    pairs_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """pad_token_id 0 is the id of <s>: the result still has it, ranks better than before, and keeps the tokenizer."""
    start = tmp_path / "start"
    given = ["distill", str(pairs_file), "--output", str(start), "--teacher", "bm25", "--as-is", *FAST, *MACHINE]
    assert main([*given, *STILL, *SHAPE]) == 0
    capsys.readouterr()

    steps = ["--steps", "60", "--evaluate-every", "20", "--learning-rate", "2e-3"]
    code = finetune(start, pairs_file, tmp_path / "tuned", *steps, "--json")

    assert code == 0
    report = json.loads(capsys.readouterr().out)
    assert report["history"][-1]["label"] < report["history"][1]["label"]
    assert report["best_ndcg"] > report["ndcg_at_start"]
    config = json.loads((tmp_path / "tuned/config.json").read_text())
    assert (config["pad_token_id"], config["_name_or_path"]) == (0, "start-finetuned")
    assert (tmp_path / "tuned/tokenizer.json").read_bytes() == (start / "tokenizer.json").read_bytes()


@pytest.mark.parametrize("shape", ["base", "ms-marco-MiniLM-L-6-v2", "bge-reranker-base", "mxbai-rerank-base-v1"])
def test_every_family_can_be_finetuned(shape: str, pairs_file: Path, words: list[str], tmp_path: Path) -> None:
    """What is learned through is what the engine computes, segments and all; every layer learns."""
    small = replace(SHAPES[shape], config=SHAPES[shape].config | SMALL | {"num_hidden_layers": 2, "vocab_size": 4000})
    start = make_random_checkpoint(tmp_path / "start", "start", small, [" ".join(words)] * 2)
    query, passages = " ".join(words[:3]), [" ".join(words[2:12]), " ".join(words[1:9])]
    texts = PairTexts(start / "tokenizer.json", [query], passages)
    model, _ = load_start(start)

    with torch.no_grad():
        found = score_pairs(model, [texts.pair(0, n) for n in range(2)], vocabulary=texts.vocabulary, bf16=False)

    engine = Reranker.load(start, Settings(device="cpu", precision="fp32"))
    assert engine.score([(query, passage) for passage in passages]) == pytest.approx(found.tolist(), abs=1e-4)
    assert finetune(start, pairs_file, tmp_path / "tuned", "--steps", "3") == 0
    learned = torch.load(tmp_path / "tuned.work" / "state.pt", weights_only=True)["model"]
    still = {name for name, tensor in model.state_dict().items() if tensor.equal(learned[name])}
    assert {name for name in still if ".layer." in name and "key.bias" not in name} == set()


def test_layers_are_dropped_from_a_teacher(pairs_file: Path, tmp_path: Path) -> None:
    """--keep-layers 0,2 starts from those two layers of three, renumbered, with its tokenizer."""
    start = make_demo_checkpoint(tmp_path / "start", hidden=48, layers=3, ffn=48)
    given = ["distill", str(pairs_file), "--output", str(tmp_path / "s"), "--teacher", "bm25", "--from", str(start)]

    code = main([*given, "--keep-layers", "0,2", "--as-is", *FAST, *MACHINE, *STILL])

    assert code == 0
    before, after = load_file(start / "model.safetensors"), load_file(tmp_path / "s/model.safetensors")
    name = "bert.encoder.layer.{}.mlp.wo.weight"
    assert after[name.format(0)].equal(before[name.format(0)])
    assert after[name.format(1)].equal(before[name.format(2)])
    assert name.format(2) not in after
    assert 2 == json.loads((tmp_path / "s/config.json").read_text())["num_hidden_layers"]
    assert (tmp_path / "s/tokenizer.json").read_bytes() == (start / "tokenizer.json").read_bytes()


def test_a_published_shape_keeps_its_slopes_when_layers_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tiny and turbo are known by their shape to halve the ALiBi tail; the smaller one has to say so itself."""
    start = make_demo_checkpoint(tmp_path / "start", hidden=48, layers=3, ffn=48)
    config = json.loads((start / "config.json").read_text())
    del config["alibi_tail_scale"]
    (start / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr("rerank_engine.models.jina_bert.HALVED_TAIL", {(config["vocab_size"], 48, 12, 3)})

    model, written = load_start(start, (0, 2))

    assert 0.5 == written["alibi_tail_scale"]
    assert model.bert.encoder.slopes.equal(load_start(start)[0].bert.encoder.slopes)  # type: ignore[union-attr]


def test_a_tokenizer_is_taken_over_or_trained(pairs_file: Path, tmp_path: Path) -> None:
    """--tokenizer FILE is copied as it is, and the student embeds its tokens; without it one is made of the text."""
    file = make_demo_checkpoint(tmp_path / "other", hidden=48, layers=2, ffn=48) / "tokenizer.json"
    shape = ["--layers", "2", "--width", "48", "--feed-forward", "48", "--as-is", "--teacher", "bm25"]

    def vocabulary(name: str, *more: str) -> int:
        given = ["distill", str(pairs_file), "--output", str(tmp_path / name), *shape, *FAST, *MACHINE, *STILL, *more]
        assert main(given) == 0
        return int(json.loads((tmp_path / name / "config.json").read_text())["vocab_size"])

    taken, trained = vocabulary("taken", "--tokenizer", str(file)), vocabulary("trained", "--vocabulary", "300")

    assert (tmp_path / "taken/tokenizer.json").read_bytes() == file.read_bytes()
    assert len(json.loads(file.read_text())["model"]["vocab"]) <= taken
    assert 300 == trained
    assert "bako" not in file.read_text()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--keep-layers", "0"], "--keep-layers needs --from"),
        (["--keep-layers", "first"], "Must be numbers with commas"),
        (["--from", "START", "--keep-layers", "0,7"], "has layers 0 to 1; it cannot keep 7"),
    ],
)
def test_layers_that_are_not_there_are_refused(
    flags: list[str], said: str, pairs_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what there is."""
    start = make_demo_checkpoint(tmp_path / "start", hidden=48, layers=2, ffn=48)
    given = [str(start) if flag == "START" else flag for flag in flags]

    code = main(["distill", str(pairs_file), "--output", str(tmp_path / "s"), "--teacher", "bm25", "--as-is", *given])

    assert (1, True) == (code, said in capsys.readouterr().err)
