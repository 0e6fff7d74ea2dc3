import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import errors as hub_errors

from rerank_bundle import hub, places
from rerank_bundle.checkpoint import read_checkpoint
from rerank_bundle.demo import TRAINED
from rerank_bundle.errors import BundleError, HubError, SourceError
from rerank_bundle.known_models import shipped
from rerank_bundle.source import Source, resolve

ROOT = Path(__file__).parents[2]
SHA = "0123456789abcdef0123456789abcdef01234567"
TINY = "jinaai/jina-reranker-v1-tiny-en"
TINY_SHA = "aca45de6945b5dc6399abcd2a9c55ded5dc9111f"


class Hub:
    """Stands in for huggingface_hub: remembers what it was asked, and answers with one file or an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: dict[str, Any] = {}

    def __call__(self, **asked: Any) -> None:
        self.asked = asked
        if self.error is not None:
            raise self.error
        (asked["local_dir"] / "config.json").write_text("{}")


def _response_error(kind: type[Exception]) -> Exception:
    """An error of the library's own kind, made without the response that it would carry."""
    return kind.__new__(kind, "said by the hub")


@pytest.mark.parametrize(
    ("text", "revision", "expected"),
    [
        (TINY, None, TINY_SHA),
        (TINY.upper().replace("JINAAI", "jinaai"), None, TINY_SHA),
        (TINY, SHA, SHA),
        (f"{TINY}@{SHA}", None, SHA),
        (f"org/other@{SHA}", SHA, SHA),
    ],
)
def test_the_commit_is_the_given_one_or_the_pinned_one(text: str, revision: str | None, expected: str) -> None:
    """What is written after @ or as --revision wins over the table."""
    found = hub.parse_id(text, revision=revision, known=shipped())

    assert found is not None
    assert expected == found.revision


@pytest.mark.parametrize(
    ("text", "revision", "said"),
    [
        ("org/unknown", None, "is not pinned"),
        ("jinaai/jina-reranker-v2-base-multilingual", None, "is not pinned"),
        ("org/model@main", None, "'main' is not a full commit sha"),
        ("org/model", SHA[:12], "is not a full commit sha"),
        ("org/model@", None, "is not a full commit sha"),
        (f"org/model@{SHA}", TINY_SHA, "Two revisions"),
    ],
)
def test_anything_but_a_full_commit_is_refused(text: str, revision: str | None, said: str) -> None:
    """Branches, tags and short shas can move under a deployment."""
    with pytest.raises(HubError, match=said):
        hub.parse_id(text, revision=revision, known=shipped())


def test_a_hub_model_is_fetched_into_a_folder_of_its_commit(tmp_path: Path) -> None:
    """Only what a bundle can hold is asked for, at that commit."""
    client = Hub()
    found = resolve(TINY, revision=None, work=tmp_path, downloads=tmp_path / "downloads", download=client)
    folder = tmp_path / "downloads" / "jinaai--jina-reranker-v1-tiny-en@aca45de6945b"

    assert Source(folder, id=TINY, name=TINY, revision=TINY_SHA) == found
    assert (TINY, TINY_SHA, folder) == (client.asked["repo_id"], client.asked["revision"], client.asked["local_dir"])
    assert not any(pattern.endswith((".bin", ".py", "*")) for pattern in client.asked["allow_patterns"])


@pytest.mark.parametrize(
    ("error", "said", "tip"),
    [
        (_response_error(hub_errors.GatedRepoError), "is gated", "HF_TOKEN"),
        (_response_error(hub_errors.RepositoryNotFoundError), "was not found", "Check the spelling"),
        (_response_error(hub_errors.RevisionNotFoundError), f"has no commit {SHA}", "Copy the sha"),
        (hub_errors.LocalEntryNotFoundError("no traffic"), "offline", f"--name org/model --revision {SHA}"),
        (hub_errors.OfflineModeIsEnabled("offline"), "offline", "rerank package ./FOLDER"),
        (ConnectionResetError("reset"), "cannot be reached", "rerank package ./FOLDER"),
        (OSError(28, "No space left on device"), "No space left on device", "Try again"),
    ],
)
def test_the_hubs_refusals_are_explained(tmp_path: Path, error: Exception, said: str, tip: str) -> None:
    """Each refusal says what happened and what to do, and leaves no empty folder."""
    downloads = tmp_path / "downloads"
    with pytest.raises(HubError, match=said) as caught:
        resolve(f"org/model@{SHA}", revision=None, work=tmp_path, downloads=downloads, download=Hub(error))

    assert tip in (caught.value.tip or "")
    assert not downloads.exists()


def test_offline_machines_are_told_how_to_go_on(tmp_path: Path) -> None:
    """With the hub library's own offline mode, the command ends with ERROR and TIP and without a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "rerank_ops.cli", "package", TINY],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith(f"ERROR {TINY} could not be fetched: this machine is offline")
    assert f"TIP Fetch the files elsewhere, copy the folder here and run: rerank package ./FOLDER --name {TINY}" in (
        done.stderr
    )
    assert "Traceback" not in done.stderr


def test_a_folder_keeps_the_revision_it_is_said_to_be_of(tmp_path: Path) -> None:
    """A folder that exists is a folder, whatever its name looks like."""
    assert Source(tmp_path, revision=SHA) == resolve(str(tmp_path), revision=SHA, work=tmp_path, downloads=tmp_path)


def test_demo_is_the_trained_checkpoint_of_the_checkout(tmp_path: Path) -> None:
    """The word demo stands for a checkpoint whose scores mean something; nothing is written for it."""
    found = resolve("demo", revision=None, work=tmp_path, downloads=tmp_path / "downloads")

    assert ("demo", "rerank-demo", None) == (found.id, found.name, found.revision)
    assert ROOT / TRAINED == found.folder
    assert not read_checkpoint(found.folder).is_demo
    assert not list(tmp_path.iterdir())


def test_random_weights_have_a_name_of_their_own(tmp_path: Path, tiny_checkpoint: Path) -> None:
    """`demo-random` is the only word that stands for random weights, and their config says so."""
    found = resolve("demo-random", revision=None, work=tmp_path, downloads=tmp_path / "downloads")
    weights = "model.safetensors"

    assert ("demo-random", "rerank-demo-random") == (found.id, found.name)
    assert (tiny_checkpoint / weights).read_bytes() == (found.folder / weights).read_bytes()
    assert read_checkpoint(found.folder).is_demo


def test_without_the_trained_checkpoint_the_demo_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights never stand in for it."""
    monkeypatch.setattr(places, "checkout", lambda: tmp_path)

    with pytest.raises(BundleError, match="this installation of the kit is not whole"):
        resolve("demo", revision=None, work=tmp_path, downloads=tmp_path)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["./missing", "/missing/folder", "~/missing/folder", "missing", "a/b/c", ""])
def test_what_is_nothing_is_said_to_be_nothing(tmp_path: Path, text: str) -> None:
    """A path that is not there is not mistaken for a hub id."""
    with pytest.raises(SourceError, match="is no checkpoint folder"):
        resolve(text, revision=None, work=tmp_path, downloads=tmp_path)


def test_the_demo_has_no_revision(tmp_path: Path) -> None:
    """A revision that would be ignored is refused."""
    with pytest.raises(BundleError, match="has no revision"):
        resolve("demo", revision=SHA, work=tmp_path, downloads=tmp_path)
