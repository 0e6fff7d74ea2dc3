import hashlib
import json
from pathlib import Path

import pytest

from rerank_bundle.build import BundleReport
from rerank_ops import cli
from rerank_ops.commands.package import in_tenths


def test_package_then_verify(tmp_path: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`rerank package --json` builds a bundle, warns of random weights, and `rerank verify` finds it sound."""
    output = tmp_path / "dist" / "model.tar.gz"
    assert 0 == cli.main(["package", str(tiny_checkpoint), "--output", str(output), "--json"])
    package = capsys.readouterr()
    assert 0 == cli.main(["verify", str(output)])
    verified = capsys.readouterr()

    report = json.loads(package.out)
    assert (str(output), hashlib.sha256(output.read_bytes()).hexdigest()) == (report["path"], report["sha256"])
    assert {"id": "folder", "revision": None} == report["manifest"]["source"]
    assert "WARN This checkpoint has random weights: its scores carry no meaning." in package.err
    assert report["sha256"] in verified.out
    assert "every member is as the manifest says" in verified.out


def test_verify_writes_json(built: BundleReport, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json stdout is one JSON value."""
    assert 0 == cli.main(["verify", str(built.path), "--json"])
    report = json.loads(capsys.readouterr().out)

    assert (built.sha256, built.manifest) == (report["sha256"], report["manifest"])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["package", "org/unpinned"], 1, "ERROR org/unpinned is not pinned"),
        (["package", "./nothing"], 1, "ERROR './nothing' is no checkpoint folder"),
        (["package", "demo", "--revision", "main"], 1, "ERROR The demo checkpoint has no revision"),
        (["package", "demo", "--setting", "RERANK_THREADS"], 2, "ERROR --setting 'RERANK_THREADS' is not KEY=VALUE."),
        (["package", "demo", "--setting", "A=1", "--setting", "A=2"], 2, "ERROR --setting A is given twice."),
        (["verify", "nothing.tar.gz"], 1, "ERROR nothing.tar.gz is not a file."),
        (["verify", "."], 1, "ERROR . is a folder."),
    ],
)
def test_errors_are_told_without_a_traceback(
    arguments: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A command that fails ends with ERROR on stderr, nothing on stdout and its exit code."""
    monkeypatch.chdir(tmp_path)
    assert code == cli.main(arguments)
    told = capsys.readouterr()

    assert said in told.err
    assert "Traceback" not in told.err
    assert "" == told.out


def test_progress_comes_in_tenths() -> None:
    """Large files move a bar, small ones are named; a log gets ten lines at most for a step."""
    told: list[tuple[float | None, str]] = []
    tell = in_tenths(lambda fraction, note: told.append((fraction, note)))
    for done in (0, 14, 15, 100):
        tell("hashing", done * 1_000_000, 100_000_000)
    tell("writing", 5, 10)

    assert [
        (0.0, "hashing 100 MB"),
        (0.1, "hashing 100 MB"),
        (0.1, "hashing 100 MB"),
        (1.0, "hashing 100 MB"),
        (None, "writing"),
    ] == told
