"""What a model folder says about itself."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from rerank_engine.errors import CheckpointError, InvalidRequest
from rerank_engine.models.checkpoint import Canary, read_checkpoint
from rerank_engine.reranker.engine import Reranker
from rerank_engine.settings import Settings
from rerank_engine.types import RerankOptions

MODEL = {
    "name": "acme/reranker",
    "alibi_tail_scale": 0.5,
    "max_length": 512,
    "canary": {"query": "q", "document": "d", "logit": 1.25, "tolerance": 0.05},
    "meaningless_scores": True,
}


def folder(path: Path, config: object, manifest: object = None) -> Path:
    (path / "config.json").write_text(json.dumps(config))
    if manifest is not None:
        (path / "bundle.json").write_text(json.dumps(manifest))
    return path


def test_a_bare_checkpoint_is_named_by_its_config(tmp_path: Path) -> None:
    """And has no canary."""
    checkpoint = read_checkpoint(folder(tmp_path, {"_name_or_path": "acme/base"}))

    assert ("acme/base", None, None, False) == (
        checkpoint.name,
        checkpoint.canary,
        checkpoint.max_length,
        checkpoint.meaningless_scores,
    )


def test_a_nameless_checkpoint_is_named_by_its_folder(tmp_path: Path) -> None:
    """Which is the last resort."""
    assert tmp_path.name == read_checkpoint(folder(tmp_path, {})).name


def test_the_manifest_overrides_the_config(tmp_path: Path) -> None:
    """Name, window, canary and slope variant are the bundle's."""
    config = {"_name_or_path": "acme/base", "alibi_tail_scale": 1.0, "hidden_size": 48}

    checkpoint = read_checkpoint(folder(tmp_path, config, {"format": 1, "model": MODEL}))

    assert "acme/reranker" == checkpoint.name
    assert 512 == checkpoint.max_length
    assert Canary("q", "d", 1.25, 0.05) == checkpoint.canary
    assert {**config, "alibi_tail_scale": 0.5} == checkpoint.config
    assert checkpoint.meaningless_scores


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"format": 2, "model": MODEL}, "format 2"),
        ({"format": 1}, "not a bundle's manifest"),
        ({"format": 1, "model": {"canary": {"query": "q"}}}, "not a bundle's manifest"),
        ([], "holds list"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(tmp_path: Path, manifest: object, message: str) -> None:
    """Rather than half of it being read."""
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(folder(tmp_path, {}, manifest))


@pytest.mark.parametrize("text", ["", "{", "[]", "\udcff"])
def test_a_broken_config_is_named(tmp_path: Path, text: str) -> None:
    """With its path."""
    (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(CheckpointError, match=r"config\.json"):
        read_checkpoint(tmp_path)


def test_absent_folders_and_files_are_named(tmp_path: Path) -> None:
    """Before anything is loaded."""
    with pytest.raises(CheckpointError, match="nowhere is not a folder"):
        read_checkpoint(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        read_checkpoint(tmp_path)


@pytest.fixture
def bundled(tiny_checkpoint: Path, tmp_path: Path) -> Any:
    """Loads the demo checkpoint as if unpacked from a bundle with the given model section and settings."""

    def load(settings: dict[str, str] | None = None, **model: Any) -> Reranker:
        shutil.copytree(tiny_checkpoint, tmp_path / "model")
        manifest = {"format": 1, "model": {"name": "acme/reranker", **model}, "settings": settings or {}}
        (tmp_path / "model" / "bundle.json").write_text(json.dumps(manifest))
        return Reranker.load(tmp_path / "model")

    return load


def test_the_slope_variant_of_the_manifest_is_scored_with(bundled: Any, reranker: Reranker) -> None:
    """The demo's config says 1.0; its manifest may say 0.5."""
    pair = ("a variant of an endpoint", "an endpoint has one or more variants")

    assert abs(bundled(alibi_tail_scale=0.5).score([pair])[0] - reranker.score([pair])[0]) > 1e-4


def test_settings_of_the_bundle_hold_unless_others_are_given(bundled: Any) -> None:
    """A bundle carries the settings it was packaged with."""
    assert 64 == bundled({"RERANK_MAX_LENGTH": "64"}).max_length


def test_the_window_of_the_manifest_holds(bundled: Any) -> None:
    """Unless a setting says otherwise."""
    assert 100 == bundled(max_length=100).max_length


def test_a_matching_canary_passes(bundled: Any, reranker: Reranker) -> None:
    """Its logit is returned."""
    [logit] = reranker.score([("q", "d")])
    loaded = bundled(canary={"query": "q", "document": "d", "logit": logit, "tolerance": 1e-4})

    assert pytest.approx(logit, abs=1e-5) == loaded.check_canary()


def test_a_deviating_canary_is_an_error_with_both_values(bundled: Any, reranker: Reranker) -> None:
    """The weights are then not those that were packaged."""
    [logit] = reranker.score([("q", "d")])
    loaded = bundled(canary={"query": "q", "document": "d", "logit": logit + 0.2, "tolerance": 0.05})

    with pytest.raises(CheckpointError, match=f"scored {logit:.4f}; its manifest says {logit + 0.2:.4f} ± 0.05"):
        loaded.check_canary()


def test_a_bundle_may_bring_a_calibration(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """bundle.json's calibration turns logits into the scores of `score: calibrated`; without one that is refused."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_checkpoint, folder)
    model = {"name": "m", "calibration": {"method": "platt", "a": 2.0, "b": -1.0}}
    (folder / "bundle.json").write_text(json.dumps({"format": 1, "model": model}))
    options = RerankOptions(score="calibrated")

    best = Reranker.load(folder, Settings()).rerank("q", ["a"], options).results[0]

    assert 1 / (1 + math.exp(1.0 - 2.0 * best.logit)) == pytest.approx(best.score)
    with pytest.raises(InvalidRequest, match="no calibration"):
        Reranker.load(tiny_checkpoint, Settings()).rerank("q", ["a"], options)
