import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from rerank_bundle import manifest as manifests
from rerank_bundle.build import BundleReport
from rerank_bundle.errors import ManifestError, ScoreMismatch, ScoringError, SettingError
from rerank_bundle.isolated import score_in_isolation
from rerank_bundle.verify import verify

Repack = Callable[[Mapping[str, bytes | None]], Path]


def test_a_bundle_verifies_in_any_environment(built: BundleReport, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report repeats what was built; variables of the caller do not reach the bundle's code."""
    monkeypatch.setenv("RERANK_NOT_A_SETTING", "1")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    report = verify(built.path)

    assert (built.sha256, built.size, built.members) == (report.sha256, report.size, report.members)
    assert built.manifest["model"]["canary"]["logit"] == pytest.approx(report.canary_logit, abs=1e-4)
    assert ((), False) == (report.acceptance_logits, report.requirements)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tokenizer.json": None}, r"lacks tokenizer\.json"),
        ({"code/rerank_engine/extra.py": b""}, r"holds code/rerank_engine/extra\.py"),
        ({"code/requirements.txt": b"evil"}, r"holds code/requirements\.txt"),
        ({"config.json": b"{}"}, r"config\.json has 2 bytes"),
        ({"bundle.json": None}, r"has no bundle\.json"),
    ],
)
def test_members_are_those_of_the_manifest(repack: Repack, changes: dict[str, bytes | None], said: str) -> None:
    """A member that is missing, extra or of another size is named."""
    with pytest.raises(ManifestError, match=said):
        verify(repack(changes))


def test_a_changed_byte_is_noticed(repack: Repack, unpacked: Path) -> None:
    """Equal size is not enough: the hash decides."""
    weights = bytearray((unpacked / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    with pytest.raises(ManifestError, match=r"model\.safetensors has been changed: its sha256 is"):
        verify(repack({"model.safetensors": bytes(weights)}))


def test_a_wrong_canary_is_noticed(repack: Repack, unpacked: Path) -> None:
    """The recorded logit must be the one that is scored now."""
    manifest = _manifest(unpacked)
    manifest["model"]["canary"]["logit"] += 0.002
    with pytest.raises(ScoreMismatch, match="The canary pair scores"):
        verify(repack({"bundle.json": manifests.encode(manifest)}))


def test_the_code_that_is_run_is_the_bundles_own(repack: Repack, unpacked: Path) -> None:
    """Code that was broken and hashed again fails, although a sound engine is installed here."""
    broken = b"raise RuntimeError('this is the code of the bundle')\n"
    name = "code/rerank_engine/reranker/engine.py"
    manifest = _rehashed(_manifest(unpacked), {name: broken})
    with pytest.raises(ScoringError, match="this is the code of the bundle"):
        verify(repack({name: broken, "bundle.json": manifests.encode(manifest)}))


def test_settings_the_engine_does_not_know_are_noticed(repack: Repack, unpacked: Path) -> None:
    """A bundle that could not start is not verified."""
    manifest = _manifest(unpacked) | {"settings": {"RERANK_TURBO": "1"}}
    with pytest.raises(SettingError, match="RERANK_TURBO is not a setting"):
        verify(repack({"bundle.json": manifests.encode(manifest)}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "its format is 2, this kit reads 1"),
        ({"model": {}}, "it names no model"),
        ({"model": {"name": "x"}}, "no canary pair"),
        ({"model": {"name": "x", "canary": {"query": "q", "document": "d"}}}, "no logit"),
        ({"model": {"name": "x", "acceptance": []}}, "its acceptance is no JSON object"),
        ({"settings": None}, "no settings"),
        ({"settings": {"RERANK_THREADS": 1}}, "no text"),
        ({"files": [{"name": "config.json"}]}, "list of files is damaged"),
    ],
)
def test_a_damaged_manifest_is_explained(unpacked: Path, tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """What is wrong with it is said."""
    (tmp_path / "bundle.json").write_text(json.dumps(_manifest(unpacked) | change))
    with pytest.raises(ManifestError, match=said):
        manifests.read(tmp_path)


@pytest.mark.parametrize(("content", "said"), [("[]", "not a JSON object"), ("{", "not valid JSON")])
def test_a_manifest_is_a_json_object(tmp_path: Path, content: str, said: str) -> None:
    """Anything else is said to be something else."""
    (tmp_path / "bundle.json").write_text(content)
    with pytest.raises(ManifestError, match=said):
        manifests.read(tmp_path)


def test_a_member_listed_twice_is_refused(unpacked: Path, built: BundleReport) -> None:
    """Two entries for one member could not both be true."""
    manifest = _manifest(unpacked)
    manifest["files"].append(manifest["files"][0])
    with pytest.raises(ManifestError, match="lists a member twice"):
        manifests.check_files(manifest, unpacked, built.members)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("#!/bin/sh\necho 'no room left' >&2; exit 3\n", "exit code 3 and no score.\nno room left"),
        ("#!/bin/sh\nexec sleep 30\n", "within 0.4 s"),
    ],
)
def test_a_process_that_dies_is_reported(unpacked: Path, tmp_path: Path, program: str, said: str) -> None:
    """The last words of a process that crashes or hangs are passed on."""
    python = tmp_path / "python"
    python.write_text(program)
    python.chmod(0o755)
    with pytest.raises(ScoringError) as caught:
        score_in_isolation(
            unpacked / "code", [], [], settings={}, python=str(python), timeout_s=0.4 if "sleep" in program else 60
        )

    assert said in str(caught.value)


def test_a_python_that_is_not_there_is_reported(unpacked: Path) -> None:
    """The interpreter is named."""
    with pytest.raises(ScoringError, match="/no/python could not be started"):
        score_in_isolation(unpacked / "code", [], [], settings={}, python="/no/python")


def test_an_installed_engine_does_not_stand_in(tmp_path: Path) -> None:
    """A bundle without an engine fails, although one is installed in this Python."""
    with pytest.raises(ScoringError, match="holds no rerank_engine"):
        score_in_isolation(tmp_path, [], [], settings={}, python=sys.executable)


def _manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "bundle.json").read_text())
    return manifest


def _rehashed(manifest: dict[str, Any], changes: dict[str, bytes]) -> dict[str, Any]:
    for entry in manifest["files"]:
        if entry["name"] in changes:
            data = changes[entry["name"]]
            entry["size"], entry["sha256"] = len(data), hashlib.sha256(data).hexdigest()
    return manifest
