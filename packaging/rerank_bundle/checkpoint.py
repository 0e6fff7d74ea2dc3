"""Reads a checkpoint folder: what is taken into the bundle, what is left out, what is refused."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rerank_bundle import layout
from rerank_bundle.errors import SourceError, UnsafeFile
from rerank_bundle.safetensors_header import WeightsHeader, read_header

DEMO_KEY = "rerank_demo"
ADAPTER = "adapter_config.json"
LFS_START = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder that can be packaged.

    Attributes:
        folder: where it is.
        config: its config.json.
        weights: the header of its model.safetensors.
        files: member name → file, of all that is shipped from it.
        left_out: names at its top that are not shipped (weights in other formats, remote code, …), sorted.
    """

    folder: Path
    config: dict[str, Any]
    weights: WeightsHeader
    files: dict[str, Path]
    left_out: tuple[str, ...]

    @property
    def is_demo(self) -> bool:
        """Whether its weights are random, so that its scores carry no meaning."""
        return self.config.get(DEMO_KEY) is True

    @property
    def default_name(self) -> str:
        """The model's name when none is given: the folder's, or the demo's own."""
        declared = self.config.get("_name_or_path") if self.is_demo else None
        return str(declared or self.folder.resolve().name)


def read_checkpoint(folder: Path, *, allow_requirements: bool = False) -> Checkpoint:
    """The checkpoint in `folder`.

    Raises:
        SourceError: it is no folder, a required file is missing, config.json is damaged or the weights are in shards.
        UnsafeFile: it holds a link, only pickled weights, or a requirements.txt that was not allowed.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder.", tip="Name a checkpoint folder, a hub id org/name, or demo.")
    entries = sorted(folder.iterdir())
    _refuse_links(entries)
    names = {entry.name for entry in entries if entry.is_file()}
    refuse_unusable(folder, names)
    files = {name: folder / name for name in (*layout.REQUIRED, *layout.OPTIONAL) if name in names}
    requirements = _requirements(folder, allowed=allow_requirements)
    if requirements is not None:
        files[f"{layout.CODE}/{layout.REQUIREMENTS}"] = requirements
    shipped = set(files.values())
    left_out = tuple(entry.name for entry in entries if entry not in shipped and not entry.name.startswith("."))
    return Checkpoint(
        folder=folder,
        config=_read_config(folder / layout.CONFIG),
        weights=read_header(folder / layout.WEIGHTS),
        files=files,
        left_out=left_out,
    )


def _refuse_links(entries: list[Path]) -> None:
    for entry in entries:
        if entry.is_symlink():
            raise UnsafeFile(
                f"{entry} is a symbolic link; a bundle holds the files themselves.",
                tip="Copy the folder with its links resolved (cp -rL), or name the hub id instead of the hub's cache.",
            )


def refuse_unusable(folder: Path, names: set[str]) -> None:
    """Refuse a folder, of files `names`, from which no model can be read, and say why.

    Raises:
        SourceError: a required file is missing or a Git LFS pointer, the weights are an adapter's or in shards.
        UnsafeFile: there are only pickled weights.
    """
    _refuse_incomplete(folder, names)
    _refuse_pointers(folder, names)


def _refuse_incomplete(folder: Path, names: set[str]) -> None:
    if layout.WEIGHTS not in names:
        _explain_missing_weights(folder, names)
    for name in layout.REQUIRED:
        if name not in names:
            raise SourceError(
                f"{folder} has no {name}.",
                tip="tokenizer.json is written by transformers: AutoTokenizer.from_pretrained(…).save_pretrained(…)."
                if name == layout.TOKENIZER
                else "Is this the folder of a checkpoint in the Hugging Face layout?",
            )


def _explain_missing_weights(folder: Path, names: set[str]) -> None:
    """Why there is no model.safetensors, where it can be told."""
    if ADAPTER in names:
        raise SourceError(
            f"{folder} holds a LoRA adapter ({ADAPTER}), not a model: its weights are additions to those of another.",
            tip="Merge it with peft: AutoPeftModelForSequenceClassification.from_pretrained(folder)"
            ".merge_and_unload().save_pretrained('merged'), save the tokenizer beside it, and package that folder.",
        )
    if f"{layout.WEIGHTS}.index.json" in names:
        raise SourceError(
            f"The weights in {folder} are split into shards; a bundle holds one {layout.WEIGHTS}.",
            tip="Save them in one piece: model.save_pretrained(folder, max_shard_size='100GB').",
        )
    pickles = sorted(name for name in names if Path(name).suffix in layout.PICKLES)
    if pickles:
        raise UnsafeFile(
            f"{folder} has its weights only as {', '.join(pickles)}: loading such a file can run any code.",
            tip="Convert it where you trust it: safetensors.torch.save_model(model, 'model.safetensors').",
        )
    others = sorted(name for name in names if name.endswith(".safetensors"))
    if others:
        raise SourceError(
            f"{folder} has no {layout.WEIGHTS}, but {', '.join(others)}.", tip=f"Rename the file to {layout.WEIGHTS}."
        )


def _refuse_pointers(folder: Path, names: set[str]) -> None:
    """Files that Git LFS keeps elsewhere: what lies here are some 130 bytes that say where."""
    pointers = [
        name for name in (*layout.REQUIRED, *layout.OPTIONAL) if name in names and is_lfs_pointer(folder / name)
    ]
    if pointers:
        raise SourceError(
            f"{folder} holds Git LFS pointers in place of {', '.join(pointers)}.",
            tip=f"Fetch what it points to: git lfs install && git -C {folder} lfs pull. Or name the hub id instead.",
        )


def is_lfs_pointer(path: Path) -> bool:
    """Whether Git LFS left a pointer in place of the file."""
    with path.open("rb") as file:
        return file.read(len(LFS_START)) == LFS_START


def _requirements(folder: Path, *, allowed: bool) -> Path | None:
    found = [
        path for path in (folder / layout.REQUIREMENTS, folder / layout.CODE / layout.REQUIREMENTS) if path.exists()
    ]
    if found and not allowed:
        raise UnsafeFile(
            f"{found[0]} would be pip-installed at every container start: slow, and impossible with network isolation.",
            tip="The engine needs nothing beyond the container. Delete the file, or pass --allow-requirements.",
        )
    if found and found[0].is_symlink():
        raise UnsafeFile(f"{found[0]} is a symbolic link; a bundle holds the files themselves.")
    return found[0] if found else None


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SourceError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(config, dict):
        raise SourceError(f"{path} holds a {type(config).__name__}, not a JSON object.")
    return config
