import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from rerank_bundle.demo import make_demo_checkpoint


def test_same_seed_same_bytes_in_another_process(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """The demo checkpoint depends on its seed alone: not on the process, its hash seed or its threads."""
    program = "import sys; from pathlib import Path; from rerank_bundle.demo import make_demo_checkpoint as make; "
    environment = {**os.environ, "PYTHONHASHSEED": "12", "RAYON_NUM_THREADS": "3"}
    subprocess.run([sys.executable, "-c", program + "make(Path(sys.argv[1]))", tmp_path], check=True, env=environment)

    assert _bytes(tiny_checkpoint) == _bytes(tmp_path)


def test_another_seed_gives_other_weights_only(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """The seed changes the weights and nothing else."""
    first, second = _bytes(tiny_checkpoint), _bytes(make_demo_checkpoint(tmp_path, seed=1))

    assert {"model.safetensors"} == {name for name in first if first[name] != second[name]}


def test_tensors_are_those_of_the_published_format(tiny_checkpoint: Path) -> None:
    """Names and shapes are the published ones: no bias on the gate, a pooler, one label."""
    config = json.loads((tiny_checkpoint / "config.json").read_text())
    h, i, v = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    expected = {
        "bert.embeddings.word_embeddings.weight": [v, h],
        "bert.embeddings.token_type_embeddings.weight": [2, h],
        "bert.embeddings.LayerNorm.weight": [h],
        "bert.embeddings.LayerNorm.bias": [h],
        "bert.pooler.dense.weight": [h, h],
        "bert.pooler.dense.bias": [h],
        "classifier.weight": [1, h],
        "classifier.bias": [1],
    }
    for n in range(config["num_hidden_layers"]):
        layer = f"bert.encoder.layer.{n}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            expected |= {f"{layer}.attention.{part}.weight": [h, h], f"{layer}.attention.{part}.bias": [h]}
        for part in ("attention.output.LayerNorm", "mlp.layernorm"):
            expected |= {f"{layer}.{part}.weight": [h], f"{layer}.{part}.bias": [h]}
        expected |= {
            f"{layer}.mlp.gated_layers.weight": [2 * i, h],
            f"{layer}.mlp.wo.weight": [h, i],
            f"{layer}.mlp.wo.bias": [h],
        }

    assert expected == {name: entry["shape"] for name, entry in _header(tiny_checkpoint).items()}


@pytest.mark.parametrize(("token", "number"), [("<s>", 0), ("<pad>", 1), ("</s>", 2), ("<unk>", 3), ("<mask>", 4)])
def test_special_tokens_have_their_published_ids(tiny_checkpoint: Path, token: str, number: int) -> None:
    """The ids are those of the published tokenizer."""
    tokenizer = Tokenizer.from_file(str(tiny_checkpoint / "tokenizer.json"))

    assert number == tokenizer.token_to_id(token)


def test_pairs_are_wrapped_as_roberta_wraps_them(tiny_checkpoint: Path) -> None:
    """A pair is <s> query </s></s> document </s>, lower-cased."""
    tokenizer = Tokenizer.from_file(str(tiny_checkpoint / "tokenizer.json"))

    assert ["<s>", "the", "model", "</s>", "</s>", "the", "endpoint", "</s>"] == tokenizer.encode(
        "The MODEL", "the endpoint"
    ).tokens


def test_config_says_that_it_is_a_demo(tiny_checkpoint: Path) -> None:
    """The config marks the scores as meaningless and keeps the slopes canonical."""
    config = json.loads((tiny_checkpoint / "config.json").read_text())

    assert (True, 1.0) == (config["rerank_demo"], config["alibi_tail_scale"])


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _header(folder: Path) -> dict[str, dict[str, list[int]]]:
    raw = (folder / "model.safetensors").read_bytes()
    entries: dict[str, dict[str, list[int]]] = json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])
    return {name: entry for name, entry in entries.items() if name != "__metadata__"}
