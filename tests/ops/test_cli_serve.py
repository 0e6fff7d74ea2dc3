"""rerank serve and rerank invoke: arguments are judged before anything is unpacked, loaded or sent."""

import socket
from pathlib import Path

import pytest

from rerank_ops import cli, serving
from rerank_ops.errors import Refused


@pytest.mark.parametrize("port", ["99999", "65536", "-1", "http", "8080.0", ""])
def test_what_is_no_port_is_wrong_usage(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, the value and its bounds."""
    with pytest.raises(SystemExit, match="2"):
        cli.main(["serve", "demo", f"--port={port}"])

    assert f"{port!r} is not a port: a whole number from 0 to 65535" in capsys.readouterr().err


def test_a_port_in_use_is_refused_before_the_model_is_opened(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to do about it."""

    def opened(model: str) -> None:
        raise AssertionError(model)

    monkeypatch.setattr(serving, "model_folder", opened)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code = cli.main(["serve", "demo", "--port", str(port)])

    said = capsys.readouterr().err
    assert 1 == code
    assert f"ERROR Port {port} on 127.0.0.1 cannot be had: Address already in use." in said
    assert "--port 0 finds a free one" in said


def test_port_zero_is_a_free_port() -> None:
    """Its number is known before the server starts, since the user is told the address."""
    assert 1024 <= serving.free_port(0) <= 65535


def test_a_port_of_the_system_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of the system, since a test's user may be allowed everything."""

    def bind(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("rerank_ops.serving.socket.socket.bind", bind, raising=False)
    with pytest.raises(Refused, match="This user may not listen on port 80"):
        serving.free_port(80)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("nothing.tar.gz", "'nothing.tar.gz' is neither a model.tar.gz nor a folder with a config.json."),
        ("folder", "'folder' is neither a model.tar.gz nor a folder with a config.json."),
        ("text.txt", "text.txt is not a complete gzip file"),
    ],
)
def test_what_is_no_model_is_named(
    model: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A path that is not there, a folder without a checkpoint, a file of another kind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.txt").write_text("hello")

    assert 1 == cli.main(["serve", model, "--port", "0"])
    told = capsys.readouterr().err
    assert f"ERROR {said}" in told
    assert "Unexpected" not in told


def test_a_model_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For serve and verify alike."""
    (tmp_path / "model.tar.gz").write_bytes(b"")
    monkeypatch.setattr("os.access", lambda *_: False)

    for command in (
        ["serve", str(tmp_path / "model.tar.gz"), "--port", "0"],
        ["verify", str(tmp_path / "model.tar.gz")],
    ):
        assert 1 == cli.main(command)
        assert f"ERROR {tmp_path / 'model.tar.gz'} cannot be read: no permission." in capsys.readouterr().err


def test_random_weights_are_said_to_be_random(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, when their name is given; the demo is silent, since its weights are trained."""
    with serving.model_folder("demo-random") as folder:
        assert (folder / "model.safetensors").is_file()
    said = capsys.readouterr().err
    with serving.model_folder("demo") as folder:
        assert "demo" == folder.name

    assert "WARN demo-random has random weights: its scores carry no meaning.\n" == said
    assert "" == capsys.readouterr().err


def test_another_address_than_this_machines_is_said_to_be_unused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The server of `rerank serve` listens on the loopback address whatever the environment says."""
    monkeypatch.setenv("RERANK_BIND_HOST", "0.0.0.0")

    assert 1 == cli.main(["serve", str(tmp_path), "--port", "0"])
    assert "WARN RERANK_BIND_HOST=0.0.0.0 is not used: `rerank serve` listens on 127.0.0.1 only." in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--query", "", "a"], "ERROR --query is empty."),
        (["--query", " \n", "a"], "ERROR --query is empty."),
        (["--query", "q"], "ERROR No documents."),
    ],
)
def test_a_question_without_words_or_documents_is_wrong_usage(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, nothing is sent."""
    assert 2 == cli.main(["invoke", "--local", *arguments])
    assert said in capsys.readouterr().err


def test_the_best_none_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """--top-n 0 would show nothing."""
    with pytest.raises(SystemExit, match="2"):
        cli.main(["invoke", "--query", "q", "a", "--top-n", "0"])

    assert "'0' is not a whole number of at least 1" in capsys.readouterr().err


def test_a_batch_jobs_mistakes_are_told_before_aws_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder for the output that is a file, an input that is not there, both with no local AWS running."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.jsonl").write_text("{}\n")
    (tmp_path / "file").write_text("")
    found = [
        (cli.main(["transform", *line.split(), "--local"]), capsys.readouterr().err)
        for line in ("start r.jsonl --fetch file", "start nothing.jsonl", "fetch job --to file/below")
    ]

    assert [1, 1, 1] == [code for code, _ in found]
    assert "ERROR --fetch file is a file." in found[0][1]
    assert "ERROR nothing.jsonl does not exist." in found[1][1]
    assert f"{tmp_path / 'file'} is a file, not a folder." in found[2][1]
