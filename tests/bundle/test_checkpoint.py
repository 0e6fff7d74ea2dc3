import json
from pathlib import Path

import pytest

from rerank_bundle.checkpoint import read_checkpoint
from rerank_bundle.errors import SourceError, UnsafeFile
from rerank_bundle.safetensors_header import WeightsHeader


def test_what_is_shipped_and_what_is_left_out(checkpoint: Path) -> None:
    """Model files are taken; other formats, remote code and training leftovers are left out by name."""
    for name in (
        "LICENSE",
        "pytorch_model.bin",
        "modeling_bert.py",
        "training_args.bin",
        "vocab.txt",
        ".gitattributes",
    ):
        (checkpoint / name).touch()
    (checkpoint / "onnx").mkdir()
    found = read_checkpoint(checkpoint)

    assert {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "LICENSE",
    } == set(found.files)
    assert ("modeling_bert.py", "onnx", "pytorch_model.bin", "training_args.bin", "vocab.txt") == found.left_out


def test_the_weights_are_described(tiny_checkpoint: Path) -> None:
    """Parameters, tensors and stored type are read from the header alone."""
    assert WeightsHeader(248_833, "float32", 38) == read_checkpoint(tiny_checkpoint).weights


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl", "last.ckpt"])
def test_pickled_weights_alone_are_refused(checkpoint: Path, name: str) -> None:
    """Weights that can run code are never an alternative."""
    (checkpoint / "model.safetensors").rename(checkpoint / name)
    with pytest.raises(UnsafeFile, match=f"only as {name}: loading such a file can run any code"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize("name", ["model.safetensors", "README.md", "anything"])
def test_links_are_refused(checkpoint: Path, tmp_path: Path, name: str) -> None:
    """A link could lead anywhere on this machine, or nowhere on another."""
    (tmp_path / "elsewhere").write_bytes(b"secret")
    (checkpoint / name).unlink(missing_ok=True)
    (checkpoint / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeFile, match="is a symbolic link"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize("name", ["requirements.txt", "code/requirements.txt"])
def test_requirements_are_refused_unless_allowed(checkpoint: Path, name: str) -> None:
    """Packages installed at start are an exception that is asked for."""
    (checkpoint / "code").mkdir()
    (checkpoint / name).write_text("einops\n")
    with pytest.raises(UnsafeFile, match="pip-installed at every container start"):
        read_checkpoint(checkpoint)

    assert checkpoint / name == read_checkpoint(checkpoint, allow_requirements=True).files["code/requirements.txt"]


def test_shards_are_refused_with_the_way_out(checkpoint: Path) -> None:
    """Weights in several files are not merged in silence."""
    (checkpoint / "model.safetensors").rename(checkpoint / "model-00001-of-00002.safetensors")
    (checkpoint / "model.safetensors.index.json").touch()
    with pytest.raises(SourceError, match="split into shards") as caught:
        read_checkpoint(checkpoint)

    assert "max_shard_size" in (caught.value.tip or "")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_required_files_are_required(checkpoint: Path, name: str) -> None:
    """The missing file is named."""
    (checkpoint / name).unlink()
    with pytest.raises(SourceError, match=f"has no {name}"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "Git LFS pointers in place of model",
        ),
        (b"", "cut short"),
        (b"\x02\0\0\0\0\0\0\0[]", "not a JSON object"),
        (b"\x02\0\0\0\0\0\0\0{]", "not JSON"),
        (b'\x09\0\0\0\0\0\0\0{"a": {}}', "damaged at 'a'"),
        (b"\x02\0\0\0\0\0\0\0{}", "no floating-point tensors"),
    ],
)
def test_what_is_no_safetensors_file_is_said(checkpoint: Path, content: bytes, said: str) -> None:
    """LFS pointers, empty files and renamed files are told apart from weights."""
    (checkpoint / "model.safetensors").write_bytes(content)
    with pytest.raises(SourceError, match=said):
        read_checkpoint(checkpoint)


def test_pointers_and_adapters_come_with_their_own_way_out(checkpoint: Path) -> None:
    """git lfs pull for pointers, the tokenizer's included; merging for a LoRA adapter, whatever its file is called."""
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 2\n"
    (checkpoint / "tokenizer.json").write_text(pointer)
    with pytest.raises(SourceError, match=r"pointers in place of tokenizer\.json") as caught:
        read_checkpoint(checkpoint)
    assert f"git -C {checkpoint} lfs pull" in str(caught.value.tip)

    (checkpoint / "model.safetensors").rename(checkpoint / "adapter_model.safetensors")
    (checkpoint / "adapter_config.json").write_text("{}")
    with pytest.raises(SourceError, match="holds a LoRA adapter") as caught:
        read_checkpoint(checkpoint)
    assert "merge_and_unload" in str(caught.value.tip)


def test_truncated_weights_are_noticed_without_loading_them(checkpoint: Path) -> None:
    """The header says how long the file must be."""
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    with pytest.raises(SourceError, match="where its header says"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize(("content", "said"), [("{", "not valid JSON"), ("[]", "holds a list")])
def test_a_damaged_config_is_said(checkpoint: Path, content: str, said: str) -> None:
    """config.json must be a JSON object."""
    (checkpoint / "config.json").write_text(content)
    with pytest.raises(SourceError, match=said):
        read_checkpoint(checkpoint)


def test_a_model_is_called_after_its_folder(checkpoint: Path) -> None:
    """The config's _name_or_path names what a model was made from, so it names the demo only."""
    config = json.loads((checkpoint / "config.json").read_text())
    assert "rerank-demo" == read_checkpoint(checkpoint).default_name
    (checkpoint / "config.json").write_text(json.dumps(config | {"rerank_demo": False}))

    assert "checkpoint" == read_checkpoint(checkpoint).default_name


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """Naming a file says what could be named."""
    with pytest.raises(SourceError, match="is not a folder"):
        read_checkpoint(tmp_path / "model.safetensors")
