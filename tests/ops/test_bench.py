"""rerank bench: what it times, how it reckons, what it writes."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch

from rerank_engine.dialects import DIALECTS, recognise
from rerank_engine.reranker.engine import Reranker
from rerank_engine.settings import Settings
from rerank_ops.bench import (
    agreement,
    dialect_overhead,
    family,
    latency,
    memory,
    overhead,
    peers,
    race,
    results,
    roof,
    workload,
)
from rerank_ops.bench.latency import Level, Served
from rerank_ops.bench.padded_jina import PaddedJina
from rerank_ops.bench.race import Lane
from rerank_ops.cli import main
from rerank_ops.commands import bench as bench_command
from rerank_ops.comparison.random_checkpoint import make_random_checkpoint
from rerank_ops.comparison.shapes import SHAPES
from rerank_ops.errors import NotFound, Refused


def test_generated_texts_have_the_lengths_of_real_ones() -> None:
    """The median of documents and passages is the distribution's, with a long tail of documents, equal in each run."""
    made = workload.generate("documents", requests=2, documents=300)
    words = sorted(len(document.split()) for _, documents in made.requests for document in documents)

    assert made == workload.generate("documents", requests=2, documents=300)
    assert 450 < words[300] < 800
    assert words[570] > 4 * words[300]


def test_a_collection_gives_candidates_in_the_first_stage_order(tmp_path: Path) -> None:
    """Titles stand above the text; candidates come as the BM25 run ranks them."""
    entries = [{"_id": str(n), "title": "T" if n else "", "text": f"text {n}"} for n in range(3)]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, entries)))
    (tmp_path / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "what"}))
    (tmp_path / workload.FIRST_STAGE).write_text("q Q0 2 1 9.0 run\nq Q0 0 2 8.0 run\nq Q0 1 3 7.0 run\n")

    read = workload.read_collection(tmp_path, requests=5, documents=2)

    assert (("what", ["T\ntext 2", "text 0"]),) == read.requests
    with pytest.raises(NotFound, match=r"has no corpus\.jsonl"):
        workload.read_collection(tmp_path / "absent", requests=1, documents=1)


def test_agreement_is_of_lists() -> None:
    """The mean of their τ, and the largest difference anywhere."""
    assert agreement.mean_tau([[1, 2], [1, 2]], [[1, 2], [2, 1]]) == 0.0
    assert agreement.largest_difference([[1.0, 2.0]], [[1.5, 2.0]]) == 0.5


def test_the_padded_peer_is_the_same_model(tiny_checkpoint: Path) -> None:
    """Padded batches of the peer, either way it attends, give the logits of the engine."""
    documents = ["a short one", "an endpoint that scales with the number of requests it is sent " * 4, "banana"]
    mine = Reranker.load(tiny_checkpoint, Settings(precision="fp32", device="cpu"))
    expected = torch.tensor(mine.score([("what scales?", text) for text in documents]))

    tokenizer = peers.pair_tokenizer(tiny_checkpoint, 512)
    encoded = tokenizer.encode_batch([("what scales?", text) for text in documents])
    ids, mask = (torch.tensor([getattr(e, what) for e in encoded]) for what in ("ids", "attention_mask"))
    for fused in (True, False):
        with torch.inference_mode():
            given = PaddedJina.load(tiny_checkpoint, fused=fused)(ids, mask).squeeze(-1)

        assert torch.allclose(expected, given, atol=2e-5)


def test_matrix_operations_are_two_per_weight() -> None:
    """14.7 million a token at the shape of jina-reranker-v1-tiny-en, whose last layer needs keys and values alone."""
    config = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 4}

    assert 2 * (3 * (4 * 384**2 + 3 * 384 * 1536) + 2 * 384**2) == roof.matrix_flops_per_token(config)
    assert roof.measure("fp32", config | {"hidden_size": 32, "intermediate_size": 64}, threads=0) > 0


@pytest.fixture
def bench() -> results.Bench:
    """What a run with three engines might have found."""
    lanes = (
        Lane("official-server", 1.0, [4.0, 4.0], [8.0, 8.0], [[1.0, 2.0], [3.0, 4.0]], 900_000_000),
        Lane("onnxruntime-int8", 1.0, [2.0, 2.0], [4.0, 4.0], [[2.0, 1.0], [3.0, 4.0]], 800_000_000),
        Lane("ours-fp32", 1.0, [1.0, 1.0], [2.0, 2.0], [[1.0, 2.0], [3.0, 4.0]], 400_000_000),
    )
    raced = results.Raced("texts", 4, 1000, 2500, lanes, {"cross-encoder": "x is not installed"}, {"fp32": 1e6}, 1000.0)
    served = Served(1.5, 400_000_000, (Level(1, 20.0, 50.0, 60.0, 70.0), Level(16, 30.0, 500.0, 600.0, 700.0)))
    return results.Bench("a machine", "a model", 1024, 0, (raced,), {"fp32": served})


def test_ratios_are_against_the_first_and_the_best_other(bench: results.Bench) -> None:
    """The two that matter, for each of our lanes."""
    assert {
        "ours-fp32 / official-server": 4.0,
        "ours-fp32 / best other (onnxruntime-int8)": 2.0,
    } == results.ratios(bench.raced[0])


def test_tables_say_everything_that_was_found(bench: results.Bench) -> None:
    """Speed, memory, agreement, the share of the roof, what could not run, and the server's latencies."""
    text = results.markdown(bench)

    assert "| ours-fp32 | 2.0 | 500 | 4.00× | 1000.00 | 4.00× | 1.00 | 400 | 1.0000 | 50% |" in text
    assert "| onnxruntime-int8 | 1.0 | 250 | 2.00× | 2000.00 | 2.00× | 2.00 | 800 | 0.0000 |  |" in text
    assert "not run: cross-encoder (x is not installed)" in text
    assert "| 1 | 20.0 | 50.0 | 60.0 | 70.0 |" in text
    assert "2.50 times" in text
    assert "16 callers get 1.50 times the answers of one" in text
    assert 1.5 == results.as_json(bench)["served"]["fp32"]["gain"]
    assert "logits" not in json.dumps(results.as_json(bench))


def test_the_picture_is_an_svg_with_a_bar_per_engine(bench: results.Bench) -> None:
    """The longest bar is the fastest engine's."""
    picture = ElementTree.fromstring(results.chart(bench))

    bars = [float(node.get("width", "0")) for node in picture if node.tag.endswith("rect")][1:]
    assert (3, max(bars)) == (len(bars), bars[2])


def test_the_command_races_engines_and_writes_a_report(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each engine in a process of its own, on the same requests: equal scores, a table, JSON for programs."""
    table = tmp_path / "table.md"
    asked = ["--peer", "official-server", "--peer", "ours-fp32", "--requests", "1", "--documents", "3"]

    code = main(
        ["bench", "--model", str(tiny_checkpoint), *asked, "--max-length", "64", "--markdown", str(table), "--json"]
    )

    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert ["generated documents", "generated passages"] == [raced["workload"] for raced in found["raced"]]
    for raced in found["raced"]:
        assert ["official-server", "ours-fp32"] == [lane["name"] for lane in raced["lanes"]]
        assert all(lane["largest_difference"] < 1e-4 for lane in raced["lanes"])
        assert all(lane["peak_bytes"] > 2**20 for lane in raced["lanes"])
    assert "ours-fp32 / official-server" in table.read_text(encoding="utf-8")


BROKEN = """\
import sys
from rerank_ops.bench import contestant, peers
real = peers.load
class Fails:
    def __init__(self, peer): self.peer, self.asked = peer, 0
    def score(self, query, documents):
        self.asked += 1
        if self.asked > AFTER: raise RuntimeError("mkldnn_reorder: no bf16\\nmore")
        return self.peer.score(query, documents)
def load(name, *args, **more):
    if name != "ours-bf16": return real(name, *args, **more)
    if AFTER < 0: raise RuntimeError("mkldnn_reorder: no bf16\\nmore")
    return Fails(real("ours-fp32", *args, **more))
peers.load = load
sys.exit(contestant.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("after", [-1, 0, 1], ids=["loading", "warming up", "racing"])
def test_an_engine_that_fails_is_a_row_and_ends_nothing(
    after: int,
    tiny_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whether it cannot be loaded, or raises at its first or its second request: the others' results are kept."""
    script = tmp_path / "broken.py"
    script.write_text(BROKEN.replace("AFTER", str(after)))
    start = race.subprocess.Popen

    def popen(command: list[str], **more: Any) -> Any:
        assert ["-m", "rerank_ops.bench.contestant"] == command[1:3]
        return start([command[0], str(script), *command[3:]], **more)

    monkeypatch.setattr(race.subprocess, "Popen", popen)
    monkeypatch.setattr(roof, "measure", lambda name, *_, **__: 1e9)
    chart, table = tmp_path / "new" / "bench.svg", tmp_path / "new" / "table.md"
    asked = ["--peer", "ours-fp32", "--peer", "ours-bf16", "--requests", "1", "--documents", "2", "--max-length", "32"]

    code = main(
        ["bench", "--model", str(tiny_checkpoint), *asked, "--chart", str(chart), "--markdown", str(table), "--json"]
    )

    found = json.loads(capsys.readouterr().out)
    reason = "RuntimeError: mkldnn_reorder: no bf16"
    assert 0 == code
    for raced in found["raced"]:
        assert ["ours-fp32"] == [lane["name"] for lane in raced["lanes"]]
        assert {"ours-bf16": reason} == raced["missing"]
        assert [
            {"engine": "ours-fp32", "status": "ran"},
            {"engine": "ours-bf16", "status": f"cannot run here: {reason}"},
        ] == raced["engines"]
    assert f"| ours-bf16: cannot run here: {reason} |" in table.read_text(encoding="utf-8")
    texts = [node.text for node in ElementTree.fromstring(chart.read_text()) if node.tag.endswith("text")]
    assert 2 == texts.count(f"cannot run here: {reason}")


@pytest.mark.parametrize("precision", ["int8", "mixed"])
def test_a_precision_that_the_engine_would_replace_is_no_contestant(
    precision: str, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server falls back to fp32 with a warning; under the name of int8, fp32's speed would be a false figure."""
    monkeypatch.setattr(sys.modules["rerank_engine.models.prepack"], "_lower", lambda *_: None)
    monkeypatch.setattr(sys.modules["rerank_engine.reranker.engine"], "choose_dtype", lambda *_: torch.float32)

    with pytest.raises(Refused) as refused:
        peers.load(f"ours-{precision}", tiny_checkpoint, max_length=32, threads=1)

    assert f"this machine has no products in {precision}: the engine would run in fp32 instead" == str(refused.value)


def test_an_engine_that_cannot_race_has_no_roof_and_is_not_served(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its row and its place among the servers say why; no other precision is measured under its name."""
    served: list[str] = []

    def serve(*_: Any, precision: str, **__: Any) -> Served:
        served.append(precision)
        return Served(1.0, 1, (Level(1, 1.0, 1.0, 1.0, 1.0),))

    def start(contestant: race.Contestant) -> None:
        if contestant.lane.name == "ours-int8":
            raise race.CannotRun("no products in int8")
        begin(contestant)

    begin = race.Contestant.start
    monkeypatch.setattr(race.Contestant, "start", start)
    monkeypatch.setattr(roof, "measure", lambda name, *_, **__: 1e9)
    monkeypatch.setattr(latency, "measure", serve)
    size = ["--requests", "1", "--documents", "2", "--max-length", "32", "--http", "0.1"]

    code = main(
        ["bench", "--model", str(tiny_checkpoint), "--peer", "ours-fp32", "--peer", "ours-int8", *size, "--json"]
    )

    found = json.loads(capsys.readouterr().out)
    assert 0 == code
    assert [["fp32"], ["fp32"]] == [list(raced["roofs"]) for raced in found["raced"]]
    assert {"fp32"} == set(served)
    assert {"no products in int8"} == set(found["unserved"].values())


def test_without_any_engine_that_runs_the_command_fails_with_its_table(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1; every engine's row says why."""
    monkeypatch.setattr(roof, "measure", lambda name, *_, **__: 1e9)
    monkeypatch.setattr(race.Contestant, "start", lambda _: (_ for _ in ()).throw(race.CannotRun("no such processor")))

    code = main(
        ["bench", "--model", str(tiny_checkpoint), "--peer", "ours-fp32", "--documents", "2", "--requests", "1"]
    )

    said = capsys.readouterr()
    assert 1 == code
    assert "ours-fp32: cannot run here: no such processor" in said.out
    assert "ERROR No engine could run here." in said.err


def test_a_product_that_the_machine_lacks_has_no_roof(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measurement of matrix products ends no benchmark, either."""

    def measure(name: str, *_: object, **__: object) -> float:
        if name == "bf16":
            raise RuntimeError("mkldnn_reorder_linear_weight: bf16 path needs a cpu with it")
        return 2.0

    monkeypatch.setattr(roof, "measure", measure)

    assert {"fp32": 2.0} == bench_command._roofs(["fp32", "bf16"], {}, 0)


def test_the_family_table_names_what_could_not_run() -> None:
    """As a row of the model that it was to be timed on."""
    lane = Lane("ours-fp32", 1.0, [1.0], [2.0], [[1.0]], 400_000_000)
    member = family.Member("tiny", 33_000_000, 66_000_000, (lane,), 8, {"ours-bf16": "no bf16"})

    assert ("tiny", "33", "ours-bf16: cannot run here: no bf16", "", "", "", "", "") == family.rows([member])[-1]


@pytest.mark.parametrize("flag", ["--markdown", "--chart"])
def test_outputs_are_judged_before_the_race(
    flag: str, tmp_path: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder cannot be written as a file."""
    assert 1 == main(["bench", "--model", str(tiny_checkpoint), flag, str(tmp_path)])
    assert f"ERROR {flag} {tmp_path} is a folder." in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--requests", "0"], ["--documents", "x"], ["--threads", "-1"]])
def test_counts_that_cannot_be_are_wrong_usage(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2."""
    with pytest.raises(SystemExit, match="2"):
        main(["bench", *flags])

    assert "is not a whole number of at least" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is started."""
    assert main(["bench", "--model", "/nowhere"]) == 1
    assert "/nowhere has no config.json" in capsys.readouterr().err


def test_snippets_are_the_first_words() -> None:
    """Of every document; queries stay."""
    made = workload.Workload("texts", (("what", ["one two " * 40, "three"]),))

    assert (("what", [" ".join(["one two"] * 10), "three"]),) == workload.snippets(made).requests


def test_the_family_table_compares_with_the_first_model() -> None:
    """A line per model and engine; speed against the same engine on the first, size as published."""
    first, second = Lane("ours-fp32", 1.0, [1.0], [2.0], [[1.0]], 400_000_000), Lane("ours-fp32", 1.0, [4.0], [8.0])
    members = [
        family.Member("tiny", 33_000_000, 66_000_000, (first,), 8),
        family.Member("base", 137_000_000, 274_000_000, (second,), 8),
    ]

    assert [
        ("tiny", "33", "ours-fp32", "8.0", "1.00×", "1,000", "400", "66"),
        ("base", "137", "ours-fp32", "2.0", "0.25×", "4,000", "0", "274"),
    ] == family.rows(members)


def test_peers_are_asked_for_what_they_can_run() -> None:
    """JinaBERT's published code does not run on current transformers; nothing asks for a GPU that is not there."""
    jina = {name for name in peers.PEERS if peers.works_with(name, "jina_bert")}
    other = {name for name in peers.PEERS if peers.works_with(name, "xlm_roberta")}

    assert {"official-server", *peers.ON_CPU} <= jina
    assert {"cross-encoder", "transformers", *peers.ON_CPU} <= other
    assert not {"cross-encoder", "transformers"} & jina
    assert peers.has_gpu() == ("ours-cuda" in jina)


def test_transformers_own_class_is_the_same_model(tmp_path: Path) -> None:
    """Padded batches of it give the logits of the engine, where it is installed."""
    pytest.importorskip("transformers", reason="needs transformers")
    shape = SHAPES["bge-reranker-base"]
    small = replace(shape, config=shape.config | {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2})
    documents = ["a short one", "an endpoint that scales with its requests " * 4]
    folder = make_random_checkpoint(tmp_path / "model", "small", small, documents)
    limits = {"max_length": 128, "threads": 0}

    given, mine = (
        peers.load(name, folder, **limits).score("what?", documents) for name in ("transformers", "ours-fp32")
    )

    assert pytest.approx(mine, abs=1e-4) == given


def test_a_server_is_timed_from_its_start_to_its_answers(tiny_checkpoint: Path) -> None:
    """Every level of callers gets answers, the levels in turn."""
    requests = (("what scales?", ["an endpoint", "a banana"]),)

    served = latency.measure(tiny_checkpoint, requests, precision="fp32", callers=(1, 2), seconds=0.06)

    assert [1, 2] == [level.callers for level in served.levels]
    assert all(level.per_s > 0 and level.p50_ms <= level.p99_ms for level in served.levels)
    assert served.start_s > 0
    assert served.peak_bytes > 2**20
    assert served.gain > 0


def test_the_server_is_timed_beside_a_direct_call(tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a checkpoint of one's own, no local AWS is needed; both ways are asked as often."""
    code = overhead.main(["--model", str(tiny_checkpoint), "--requests", "3", "--starts", "0", "--json"])

    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert ["Reranker.rerank", "serve.py over HTTP"] == list(found["ways"])
    assert all(way["p50_ms"] <= way["p99_ms"] for way in found["ways"].values())


def test_every_format_is_timed(capsys: pytest.CaptureFixture[str]) -> None:
    """None is left out; each is read and answered."""
    code = dialect_overhead.main(["--documents", "2", "--tokens", "5", "--rounds", "2", "--json"])

    found = json.loads(capsys.readouterr().out)
    requests = dialect_overhead.payloads("q", ["a"])
    assert code == 0
    assert {recognise(payload).name for payload in requests.values()} == {dialect.name for dialect in DIALECTS}
    assert set(found) == set(requests)
    assert all(0 < times["p50_ms"] <= times["p95_ms"] for times in found.values())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_a_pass(tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights and states by the numbers of config.json; a pass cannot do with less."""
    config = json.loads((tiny_checkpoint / "config.json").read_text())

    memory.main(["--model", str(tiny_checkpoint), "--precision", "fp32", "--length", "100", "--json"])

    (row,) = json.loads(capsys.readouterr().out)
    tokens = Settings().token_budget // 100 * 100
    assert (row["precision"], row["length"]) == ("fp32", 100)
    assert row["states"] == pytest.approx(5 * tokens * config["hidden_size"] * 4 / 2**20)
    assert row["weights"] > config["vocab_size"] * config["hidden_size"] * 4 / 2**20
    assert row["peak"] > row["states"] + row["weights"]
    assert row["ratio"] == pytest.approx(row["peak"] / (row["states"] + row["weights"]))


def test_others_run_without_this_engines_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The parent has them, since it imports the engine; a peer's process must not inherit them."""
    given: dict[str, dict[str, str]] = {}

    def note(command: list[str], *, env: dict[str, str], **_: object) -> None:
        given[command[3]] = env

    monkeypatch.setenv("GOMP_SPINCOUNT", "1000")
    monkeypatch.setattr(race.subprocess, "Popen", note)
    for name in ("official-server", "ours-fp32"):
        race.Contestant(name, tmp_path, max_length=8, threads=0)

    assert "GOMP_SPINCOUNT" not in given["official-server"]
    assert given["ours-fp32"]["GOMP_SPINCOUNT"] == "1000"
    assert given["official-server"]["PATH"] == given["ours-fp32"]["PATH"]
