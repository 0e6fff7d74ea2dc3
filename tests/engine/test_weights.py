"""Loading model.safetensors: every tensor accounted for, nothing executed, nothing computed twice."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from rerank_engine.errors import CheckpointError
from rerank_engine.models import CrossEncoder, recognise
from rerank_engine.models.weights import load_weights

CPU = torch.device("cpu")


@pytest.fixture
def model(config: Callable[..., Any]) -> CrossEncoder:
    """On the meta device."""
    with torch.device("meta"):
        return recognise(config()).from_config(config())


@pytest.fixture
def tensors(random_model: Callable[..., Any], config: Callable[..., Any]) -> dict[str, Tensor]:
    _, weights = random_model(config())
    return {name: torch.from_numpy(weight).float() for name, weight in weights.items()}


def load(model: nn.Module, tensors: dict[str, Tensor], folder: Path, dtype: torch.dtype = torch.float32) -> None:
    save_file(tensors, folder / "model.safetensors")
    load_weights(model, folder, device=CPU, dtype=dtype)


@pytest.mark.parametrize("stored", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("wanted", [torch.float32, torch.bfloat16, torch.float64])
def test_stored_types_are_cast(
    model: CrossEncoder, tensors: dict[str, Tensor], tmp_path: Path, stored: torch.dtype, wanted: torch.dtype
) -> None:
    """Matrices take the precision asked for; norms and head stay in float32 at least."""
    load(model, {name: tensor.to(stored) for name, tensor in tensors.items()}, tmp_path, wanted)

    word = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(tensors[word].to(stored).to(wanted), model.state_dict()[word])
    wide = torch.promote_types(wanted, torch.float32)
    assert {wide} == {
        model.state_dict()[f"{name}.weight"].dtype for name in ("classifier", "bert.embeddings.LayerNorm")
    }


def test_everything_is_off_the_meta_device(model: CrossEncoder, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    """Buffers that checkpoints do not carry included."""
    load(model, tensors, tmp_path)

    assert {CPU} == {tensor.device for tensor in (*model.parameters(), *model.buffers())}


def test_missing_tensors_are_named(model: CrossEncoder, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    """Each by its name in the file."""
    del tensors["classifier.bias"]

    with pytest.raises(CheckpointError, match=r"1 missing: classifier\.bias\."):
        load(model, tensors, tmp_path)


def test_extra_tensors_are_named(model: CrossEncoder, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    """A tensor that the model would not read is not ignored."""
    tensors["bert.embeddings.position_embeddings.weight"] = torch.zeros(4, 4)

    with pytest.raises(CheckpointError, match=r"1 not expected: bert\.embeddings\.position_embeddings\.weight\."):
        load(model, tensors, tmp_path)


def test_misshapen_tensors_are_named_with_both_shapes(
    model: CrossEncoder, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    """What it is, and what it must be."""
    tensors["classifier.weight"] = torch.zeros(3, 48)

    with pytest.raises(CheckpointError, match=r"1 misshapen: classifier\.weight is 3×48, must be 1×48\."):
        load(model, tensors, tmp_path)


def test_a_long_list_of_names_is_capped(model: CrossEncoder, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    """Eight names, and how many more."""
    with pytest.raises(
        CheckpointError, match=f"{len(tensors)} missing: .* and {len(tensors) - 8} more; 1 not expected"
    ):
        load(model, {"other": torch.zeros(1)}, tmp_path)


def test_integer_weights_are_refused(model: CrossEncoder, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    """Quantised files are another format, not a cast away."""
    tensors["classifier.bias"] = torch.zeros(1, dtype=torch.int8)

    with pytest.raises(CheckpointError, match=r"classifier\.bias is I8"):
        load(model, tensors, tmp_path)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl"])
def test_pickles_are_refused_unopened(model: CrossEncoder, tmp_path: Path, name: str) -> None:
    """They can run code when opened."""
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")

    with pytest.raises(CheckpointError, match=f"has {name} but no model.safetensors") as caught:
        load_weights(model, tmp_path, device=CPU, dtype=torch.float32)

    assert "Convert" in str(caught.value.tip)


def test_shards_are_refused(model: CrossEncoder, tmp_path: Path) -> None:
    """A reranker fits one file."""
    (tmp_path / "model.safetensors.index.json").write_text("{}")

    with pytest.raises(CheckpointError, match="shards"):
        load_weights(model, tmp_path, device=CPU, dtype=torch.float32)


def test_an_absent_file_is_named(model: CrossEncoder, tmp_path: Path) -> None:
    """With the folder it was looked for in."""
    with pytest.raises(CheckpointError, match=f"{tmp_path.name} has no model.safetensors"):
        load_weights(model, tmp_path, device=CPU, dtype=torch.float32)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_damaged_file_is_named(model: CrossEncoder, tensors: dict[str, Tensor], tmp_path: Path, keep: int) -> None:
    """Wherever the download broke off."""
    path = tmp_path / "model.safetensors"
    save_file(tensors, path)
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged"):
        load_weights(model, tmp_path, device=CPU, dtype=torch.float32)


def test_loading_imports_nothing_heavy(tiny_checkpoint: Path) -> None:
    """No compiler, no symbolic algebra, no transformers: a cold start pays for torch alone."""
    script = (
        "import sys; from pathlib import Path; from rerank_engine.reranker.engine import Reranker;"
        "Reranker.load(Path(sys.argv[1])).check_canary();"
        "print(*sorted({'torch._dynamo', 'torch._inductor', 'sympy', 'transformers', 'pydantic'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script, tiny_checkpoint], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == ""
