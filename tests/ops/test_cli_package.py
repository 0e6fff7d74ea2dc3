"""rerank package: where it writes, and what it does not replace."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rerank_ops import cli

Package = Callable[..., tuple[int, str, str]]


@pytest.fixture
def package(tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> Package:
    """`rerank package` of the tiny checkpoint: (exit code, stdout, stderr)."""

    def run(*flags: str) -> tuple[int, str, str]:
        code = cli.main(["package", str(tiny_checkpoint), *flags])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def bundle(package: Package, tmp_path: Path) -> Path:
    """A bundle of the model `one`."""
    path = tmp_path / "model.tar.gz"
    assert 0 == package("--name", "one", "--output", str(path))[0]
    return path


def test_the_bundle_of_another_model_is_not_replaced_without_force(package: Package, bundle: Path) -> None:
    """Deployments share the file: both models are named, and the ways out; --force replaces it."""
    was = bundle.read_bytes()

    code, _, said = package("--name", "org/two", "--output", str(bundle))

    assert 1 == code
    assert f"ERROR {bundle} holds the model 'one'; it would be replaced by the model 'org/two'." in said
    assert f"--output {bundle.parent}/two.tar.gz" in said
    assert "--force" in said
    assert was == bundle.read_bytes()
    assert 0 == package("--name", "org/two", "--output", str(bundle), "--force")[0]
    assert was != bundle.read_bytes()


def test_the_same_model_replaces_itself_and_says_when_nothing_changed(package: Package, bundle: Path) -> None:
    """Without a question; `unchanged` for programs."""
    again = package("--name", "one", "--output", str(bundle), "--json")
    other = package("--name", "one", "--output", str(bundle), "--setting", "RERANK_THREADS=1", "--json")

    assert (0, True) == (again[0], json.loads(again[1])["unchanged"])
    assert "is byte for byte what it was" in again[2]
    assert (0, False) == (other[0], json.loads(other[1])["unchanged"])
    assert "byte for byte" not in other[2]


def test_a_file_that_is_no_bundle_is_not_replaced_without_force(package: Package, tmp_path: Path) -> None:
    """A mistyped --output must not cost somebody's data."""
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"query": "q"}\n')

    code, _, said = package("--output", str(path))

    assert (1, '{"query": "q"}\n') == (code, path.read_text())
    assert f"ERROR {path} is not a bundle; it would be replaced by the model" in said


def test_outputs_that_cannot_be_written_are_refused_before_the_work(
    package: Package, tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder, a place below a file, a file of the checkpoint: nothing is scored first."""

    def build(*_: object, **__: object) -> None:
        raise AssertionError("built")

    monkeypatch.setattr("rerank_bundle.build.build", build)
    (tmp_path / "file").write_text("")
    said = [
        package("--output", str(path))[::2]
        for path in (tmp_path, tmp_path / "file" / "a.tar.gz", tiny_checkpoint / "model.safetensors")
    ]

    assert [1, 1, 1] == [code for code, _ in said]
    assert f"ERROR --output {tmp_path} is a folder." in said[0][1]
    assert f"{tmp_path / 'file'} is a file, not a folder." in said[1][1]
    assert "is also what is read." in said[2][1]


def test_a_place_without_permission_is_refused(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked of the system, since a test's user may be allowed everything."""
    monkeypatch.setattr("rerank_ops.outputs.os.access", lambda *_: False)

    code, _, said = package("--output", str(tmp_path / "new" / "model.tar.gz"))

    assert 1 == code
    assert f"no permission in {tmp_path}." in said


@pytest.mark.parametrize(
    "flags",
    [
        ["--setting", "RERANK_THREADS"],
        ["--setting", "A=1", "--setting", "A=2"],
        ["--force-precision"],
        ["--precision", "int8", "--setting", "RERANK_PRECISION=fp32"],
    ],
)
def test_flags_that_cannot_be_meant_are_wrong_usage(package: Package, flags: list[str]) -> None:
    """Exit code 2, as the README says."""
    assert 2 == package(*flags)[0]
