"""What a training or measuring command reads, needs and writes is looked at before it works; names mean one thing."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rerank_bundle.demo import demo_checkpoint, make_demo_checkpoint
from rerank_bundle.errors import BundleError
from rerank_ops import outputs
from rerank_ops.cli import main
from rerank_ops.errors import Missing, NotFound, Refused
from rerank_training.checkpoints import checkpoint_folder

FAST = ["--batch", "4", "--list-size", "4", "--hard", "6", "--watch", "4", "--threads", "1", "--device", "cpu"]


@pytest.fixture
def start(tmp_path: Path) -> Path:
    return make_demo_checkpoint(tmp_path / "start", hidden=48, layers=2, ffn=48)


@pytest.fixture
def nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails a command that mines, loads or scores."""

    def worked(*args: Any, **more: Any) -> None:
        raise AssertionError("there was work before the inputs were looked at")

    for name in ("rerank_training.prepare.mine", "rerank_training.distill.load_start", "rerank_training.runs.Bm25"):
        monkeypatch.setattr(name, worked)
    monkeypatch.setattr("rerank_engine.reranker.engine.Reranker.load", worked)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["CHECKPOINT=nowhere"], "nowhere is not a folder"),
        (["CHECKPOINT=incomplete"], "has no tokenizer.json"),
        (["CHECKPOINT=adapter"], "holds a LoRA adapter"),
        (["PAIRS=nowhere.jsonl"], "PAIRS: nowhere.jsonl does not exist"),
        (["--exclude", "nowhere"], "nowhere/corpus.jsonl does not exist"),
        (["--teacher", "nowhere"], "There is no teacher 'nowhere'"),
        (["--teacher", "scores:nowhere"], "nowhere does not exist"),
        (["--plot", "curve.doc"], "--plot curve.doc must end in .svg or .png"),
        (["--plot", "pairs.jsonl/curve.svg"], "pairs.jsonl is a file"),
        (["--output", "pairs.jsonl"], "--output pairs.jsonl is a file"),
        (["--output", "start"], "is the checkpoint that the run starts from"),
        (["--work", "pairs.jsonl"], "--work pairs.jsonl is a file"),
    ],
)
def test_a_mistyped_path_is_told_before_anything_is_mined(
    change: list[str],
    said: str,
    start: Path,
    pairs_file: Path,
    tmp_path: Path,
    nothing_is_done: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By its name, with exit code 1, and no folder is left behind."""
    for name, lacking in (("incomplete", "tokenizer.json"), ("adapter", "model.safetensors")):
        other = make_demo_checkpoint(tmp_path / name, hidden=48, layers=2, ffn=48)
        (other / lacking).unlink()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    named = dict(word.split("=") for word in change if "=" in word)
    flags = [] if named else change
    before = sorted(path.name for path in tmp_path.iterdir())

    checkpoint, pairs = named.get("CHECKPOINT", "start"), named.get("PAIRS", "pairs.jsonl")
    code = main(["finetune", checkpoint, pairs, "--output", "out", *FAST, *flags])

    told = capsys.readouterr().err
    assert (1, True) == (code, said in told), told
    assert "Unexpected" not in told
    assert before == sorted(path.name for path in tmp_path.iterdir())


def test_a_tokenizer_that_is_none_is_named(
    pairs_file: Path, tmp_path: Path, nothing_is_done: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing or damaged: not "Unexpected Exception: No such file or directory (os error 2)"."""
    damaged = tmp_path / "damaged.json"
    damaged.write_text("{}")
    given = ["distill", str(pairs_file), "--output", str(tmp_path / "o"), "--teacher", "bm25", "--tokenizer"]

    assert main([*given, str(tmp_path / "nowhere.json")]) == 1
    assert "nowhere.json does not exist" in capsys.readouterr().err
    assert main([*given, str(damaged)]) == 1
    assert "damaged.json is not a tokenizer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--heads", "8"], "The matching initialisation does not fit a student of 3 layers, 192 wide, 8 heads"),
        (["--layers", "1"], "does not fit a student of 1 layers"),
        (["--heads", "7", "--plain"], "A student of 3 layers, 192 wide, 7 heads cannot be built"),
        (["--heads", "0"], "--heads is 0. Must be at least 1"),
        (["--from", "demo", "--heads", "8"], "--heads cannot be combined with --from"),
        (["--from", "demo", "--plain"], "--plain cannot be combined with --from"),
        (["--tokenizer", "t.json", "--vocabulary", "300"], "--vocabulary cannot be combined with --tokenizer"),
    ],
)
def test_a_student_that_would_not_be_what_was_asked_for_is_refused(
    flags: list[str],
    said: str,
    pairs_file: Path,
    tmp_path: Path,
    nothing_is_done: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No shape is drawn at random in silence, and no flag is passed over."""
    given = ["distill", str(pairs_file), "--output", str(tmp_path / "o"), "--teacher", "bm25", *FAST]

    assert main([*given, *flags]) == 1
    assert said in capsys.readouterr().err


def test_a_shape_drawn_at_random_is_asked_for(pairs_file: Path, tmp_path: Path) -> None:
    """--plain --heads 8 is such a student, and is made."""
    shape = ["--heads", "8", "--width", "48", "--feed-forward", "48", "--layers", "2", "--vocabulary", "300", "--plain"]
    given = [
        "distill",
        str(pairs_file),
        "--output",
        str(tmp_path / "o"),
        "--teacher",
        "bm25",
        "--as-is",
        "--steps",
        "1",
    ]

    assert main([*given, *FAST, *shape]) == 0
    assert 8 == json.loads((tmp_path / "o" / "config.json").read_text())["num_attention_heads"]


def test_demo_is_the_trained_demo_wherever_a_checkpoint_is_named(
    pairs_file: Path,
    make_collection: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """finetune takes it as the start, evaluate as a model; a folder of that name is ./demo."""
    assert demo_checkpoint() == checkpoint_folder("demo")
    assert Path("./demo") == checkpoint_folder("./demo")
    one = ["--steps", "1", "--batch", "2", "--list-size", "3", "--hard", "2", "--watch", "1", "--sample", "20"]

    assert main(["finetune", "demo", str(pairs_file), "--output", str(tmp_path / "o"), *one, "--device", "cpu"]) == 0
    config = json.loads((tmp_path / "o" / "config.json").read_text())
    assert "demo-finetuned" == config["_name_or_path"]
    capsys.readouterr()
    assert main(["evaluate", str(make_collection(size=4)), "--model", "demo", "--json", "--device", "cpu"]) == 0
    found = json.loads(capsys.readouterr().out)["collections"]["toy"][1]
    assert ("demo", 3_645_121) == (found["model"], found["details"]["parameters"])
    monkeypatch.setattr("rerank_bundle.demo.TRAINED", "nowhere")
    with pytest.raises(BundleError, match="this installation of the kit is not whole"):
        checkpoint_folder("demo")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--model", "nowhere"], "'nowhere' is no folder"),
        (["--model", "biencoder:nowhere"], "nowhere is not a bi-encoder's folder"),
        (["--run", "nowhere.trec"], "nowhere.trec does not exist"),
        (["--measure", "nDCGG@10"], "nDCGG"),
        (["--plot", "p.doc"], "must end in .svg or .png"),
        (["--depths", "0"], "--depths is '0'"),
        (["--precision", "fp8"], "--precision is 'fp8'"),
        (["--split", "dev"], "qrels/dev.tsv does not exist"),
        (["--write-runs", "FILE/runs"], "is a file"),
    ],
)
def test_evaluate_looks_at_everything_first(
    flags: list[str],
    said: str,
    make_collection: Callable[..., Path],
    nothing_is_done: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Models, run, measures and what will be written."""
    folder = make_collection(size=4)
    given = [flag.replace("FILE", str(folder / "corpus.jsonl")) for flag in flags]

    assert main(["evaluate", str(folder), *given]) == 1
    assert said in capsys.readouterr().err


def test_collections_of_one_name_are_refused(
    make_collection: Callable[..., Path], nothing_is_done: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second would take the place of the first."""
    first, second = make_collection("a/same", size=4), make_collection("b/same", size=4)

    assert main(["evaluate", str(first), str(second)]) == 1
    assert "Two collections are called same" in capsys.readouterr().err


def test_what_was_measured_is_told_when_a_later_model_fails(
    make_collection: Callable[..., Path], start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rows that are there, the error behind them, and exit code 1."""
    broken = make_demo_checkpoint(tmp_path / "broken", hidden=48, layers=2, ffn=48)
    (broken / "config.json").write_text('{"model_type": "unheard of"}')
    given = ["evaluate", str(make_collection(size=4)), "--model", str(start), "--model", str(broken)]

    assert main([*given, "--json", "--plot", str(tmp_path / "p.svg")]) == 1
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert ["bm25", "start"] == [row["model"] for row in report["collections"]["toy"]]
    assert report["failed"] in told.err
    assert (tmp_path / "p.svg").is_file()


def test_a_package_that_is_missing_comes_with_the_command_of_the_checkout(
    make_collection: Callable[..., Path],
    pairs_file: Path,
    start: Path,
    tmp_path: Path,
    nothing_is_done: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before anything is measured; the kit's own name is on no index, so that no tip says to install it by name."""
    folder, model = str(make_collection(size=4)), str(start)
    monkeypatch.setattr("rerank_ops.comparison.measure.measure", None)
    for package, command in (
        ("bm25s", ["compare", model, "--data", folder]),
        ("bm25s", ["evaluate", folder]),
        ("bm25s", ["finetune", model, str(pairs_file), "--output", str(tmp_path / "o")]),
        ("ir_measures", ["evaluate", folder]),
        ("ir_measures", ["compare", model, "--data", folder]),
        ("matplotlib", ["evaluate", folder, "--plot", "p.svg"]),
    ):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)

            code = main(command)

        told = capsys.readouterr().err
        assert 1 == code, command
        assert "pip install -e '.[training]'" in told, (command, told)


def test_places_are_looked_at_without_touching_them(tmp_path: Path) -> None:
    """Nothing is made, and what cannot be written is refused by the flag's name."""
    (tmp_path / "file").write_text("")
    outputs.check_file(tmp_path / "new" / "deep" / "page.html", "--html")
    outputs.check_folder(tmp_path / "new" / "folder", "--output")

    with pytest.raises(Refused, match=r"--html .* is a folder"):
        outputs.check_file(tmp_path, "--html")
    with pytest.raises(Refused, match=r"--html .* cannot be written: .*file is a file"):
        outputs.check_file(tmp_path / "file" / "page.html", "--html")
    with pytest.raises(Refused, match=r"--output .*file is a file"):
        outputs.check_folder(tmp_path / "file", "--output")
    with pytest.raises(NotFound, match=r"PAIRS: .* is a folder"):
        outputs.require_input(tmp_path, "PAIRS")
    assert ["file"] == [path.name for path in tmp_path.iterdir()]


def test_a_place_that_may_not_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By permission: asked of the system, for a folder or for the file itself."""
    monkeypatch.setattr("os.access", lambda path, mode: False)

    with pytest.raises(Refused, match="cannot be written: no permission"):
        outputs.check_file(tmp_path / "page.html", "--html")


def test_a_picture_needs_what_draws_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its absence is told first, with the command."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(Missing, match="needs matplotlib") as caught:
        outputs.require_picture(tmp_path / "p.svg", "--plot")
    assert "pip install -e '.[training]'" in str(caught.value.tip)


def test_a_line_says_its_passage_once(tmp_path: Path, capsys: pytest.CaptureFixture[str], start: Path) -> None:
    """passage, as the README has it, or positive: either with negatives; two of them would leave one unread."""
    both = tmp_path / "both.jsonl"
    both.write_text(json.dumps({"query": "q", "passage": "a", "positive": "b"}) + "\n")

    assert main(["finetune", str(start), str(both), "--output", str(tmp_path / "o"), *FAST]) == 1
    assert "both.jsonl:1 has passage and positive" in capsys.readouterr().err
