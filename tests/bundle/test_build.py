import hashlib
import json
from pathlib import Path

import pytest

from rerank_bundle.build import CANARY, BundleReport, build
from rerank_bundle.errors import BundleError, HubError, ScoringError, SettingError
from rerank_bundle.isolated import score_in_isolation
from rerank_bundle.staging import copy_engine

SHA = "0123456789abcdef0123456789abcdef01234567"


def test_the_manifest_lists_every_member_with_its_hash(built: BundleReport, unpacked: Path) -> None:
    """Every member but the manifest itself, sorted, with its size and sha256."""
    expected = [
        {
            "name": name,
            "size": (unpacked / name).stat().st_size,
            "sha256": hashlib.sha256((unpacked / name).read_bytes()).hexdigest(),
        }
        for name in sorted(set(built.members) - {"bundle.json"})
    ]

    assert expected == built.manifest["files"]
    assert built.manifest == json.loads((unpacked / "bundle.json").read_text())


def test_the_manifest_describes_the_model(built: BundleReport) -> None:
    """What a deployment and the engine need to know is in it."""
    model = dict(built.manifest["model"])
    canary = model.pop("canary")

    assert {
        "name": "rerank-demo",
        "family": "jina_bert",
        "alibi_tail_scale": 1.0,
        "max_length": 8192,
        "dtype_stored": "float32",
        "parameters": 248_833,
        "acceptance": {"checked": False, "reason": "no scores are published for this model", "pairs": []},
        "meaningless_scores": True,
    } == model
    assert CANARY == (canary["query"], canary["document"])
    assert {"id": "demo", "revision": None} == built.manifest["source"]


def test_the_canary_is_what_the_code_scores(built: BundleReport, unpacked: Path) -> None:
    """The recorded logit comes from the code that was packed."""
    scores = score_in_isolation(unpacked / "code", [unpacked], [CANARY], settings={})

    assert built.manifest["model"]["canary"]["logit"] == pytest.approx(scores.logits[0][0], abs=1e-4)


def test_settings_provenance_and_extra_files_are_recorded(checkpoint: Path, tmp_path: Path) -> None:
    """Settings are written as the engine understands them, defaults left out; licence and requirements are shipped."""
    (checkpoint / "LICENSE").write_text("Apache-2.0")
    (checkpoint / "requirements.txt").write_text("einops\n")
    report = build(
        checkpoint,
        tmp_path / "model.tar.gz",
        name="org/model",
        revision=SHA,
        settings={"RERANK_TOKEN_BUDGET": " 4096 ", "RERANK_MAX_BATCH_PAIRS": "512"},
        allow_requirements=True,
    )

    assert {"RERANK_TOKEN_BUDGET": "4096"} == report.manifest["settings"]
    assert {"id": "org/model", "revision": SHA} == report.manifest["source"]
    assert {"LICENSE", "code/requirements.txt"} <= set(report.members)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"RERANK_TOKEN_BUDGE": "1"}, "RERANK_TOKEN_BUDGE is not a setting"),
        ({"RERANK_TOKEN_BUDGET": "many"}, "RERANK_TOKEN_BUDGET has value 'many'"),
    ],
)
def test_settings_are_judged_by_the_engine(
    tiny_checkpoint: Path, tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    """A setting the engine would refuse at start is refused when packaging."""
    with pytest.raises(SettingError, match=said):
        build(tiny_checkpoint, tmp_path / "model.tar.gz", settings=settings)


def test_weights_that_do_not_load_are_not_packaged(checkpoint: Path, tmp_path: Path) -> None:
    """The engine's own words say what is wrong with the checkpoint."""
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(ScoringError, match=r"cannot score with this model\. .*missing: bert\.encoder\.layer\.2"):
        build(checkpoint, tmp_path / "model.tar.gz")

    assert not (tmp_path / "model.tar.gz").exists()


def test_a_branch_is_no_provenance(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """A revision that is recorded is a full commit sha."""
    with pytest.raises(HubError, match="'main' is not a full commit sha"):
        build(tiny_checkpoint, tmp_path / "model.tar.gz", revision="main")


def test_an_engine_without_its_doors_is_not_packaged(tmp_path: Path) -> None:
    """A bundle without a door could not be served."""
    (tmp_path / "inference" / "rerank_engine").mkdir(parents=True)
    with pytest.raises(BundleError, match=r"inference\.py is missing"):
        copy_engine(tmp_path / "inference", tmp_path / "code")


def test_only_python_is_copied(tmp_path: Path) -> None:
    """Caches, notes and hidden files beside the code stay where they are."""
    package = tmp_path / "inference" / "rerank_engine"
    (package / "__pycache__").mkdir(parents=True)
    for name in ("../inference.py", "../serve.py", "__init__.py", "notes.md", "__pycache__/engine.pyc"):
        (package / name).touch()
    (tmp_path / "inference" / "scratch.py").touch()

    assert {"code/inference.py", "code/serve.py", "code/rerank_engine/__init__.py"} == set(
        copy_engine(tmp_path / "inference", tmp_path / "code")
    )
