"""What was packaged is what is loaded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rerank_engine.errors import CheckpointError
from rerank_engine.handler import load
from rerank_engine.reranker.integrity import check_bundle


@pytest.fixture
def copy(bundle_dir: Path, tmp_path: Path) -> Path:
    """A bundle that may be damaged."""
    return Path(shutil.copytree(bundle_dir, tmp_path / "model"))


def test_an_untouched_bundle_passes(bundle_dir: Path) -> None:
    """Every file that the manifest lists is checked."""
    listed = json.loads((bundle_dir / "bundle.json").read_text())["files"]

    assert len(listed) == check_bundle(bundle_dir)


def test_what_is_not_listed_does_not_matter(copy: Path) -> None:
    """A container's own files, bytecode among them, are no damage."""
    (copy / "code" / "__pycache__").mkdir(exist_ok=True)
    (copy / "code" / "__pycache__" / "serve.pyc").write_bytes(b"x")

    assert check_bundle(copy) > 0


def test_a_folder_without_a_manifest_has_nothing_to_check(tmp_path: Path) -> None:
    """A checkpoint as published is loaded as it is."""
    assert 0 == check_bundle(tmp_path)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "one bit of the weights": (lambda folder: flip(folder / "model.safetensors"), "was changed: its sha256 is"),
    "a download that broke off": (
        lambda folder: (folder / "model.safetensors").write_bytes(b"half"),
        "has 4 bytes; bundle.json says",
    ),
    "code that is gone": (lambda folder: (folder / "code" / "serve.py").unlink(), "cannot be read"),
    "a manifest that is not JSON": (lambda folder: (folder / "bundle.json").write_bytes(b"{"), "cannot be read"),
    "a list of something else": (
        lambda folder: (folder / "bundle.json").write_text('{"files": [1]}'),
        "cannot be read",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named(copy: Path, damage: str) -> None:
    """Whatever differs from the manifest is an error that names the file."""
    harm, message = DAMAGES[damage]
    harm(copy)

    with pytest.raises(CheckpointError, match=message):
        check_bundle(copy)


def test_awss_container_does_not_serve_a_damaged_bundle(copy: Path) -> None:
    """Behind AWS's toolkit a damaged bundle answers 503 with the reason; RERANK_VERIFY_BUNDLE=false loads it."""
    with (copy / "config.json").open("a", encoding="utf-8") as file:
        file.write("\n")
    good = '{"query": "q", "documents": ["a"]}'

    def status(handler: object) -> tuple[int, bool]:
        told: list[int] = []

        class Context:
            def get_all_request_header(self, index: int) -> dict[str, str]:
                return {}

            def set_response_status(self, code: int, phrase: str, idx: int) -> None:
                told.append(code)

            def set_response_header(self, index: int, name: str, value: str) -> None: ...

        body = handler.answer(good, "application/json", None, Context())  # type: ignore[attr-defined]
        return told[0], "config.json has" in body

    assert (503, True) == status(load(str(copy), {}))
    assert (200, False) == status(load(str(copy), {"RERANK_VERIFY_BUNDLE": "false"}))
