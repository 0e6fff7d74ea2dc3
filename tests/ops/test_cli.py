"""The edge of the command line: help, exit codes, ERROR and TIP."""

import argparse
import json
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from rerank_ops import cli
from rerank_ops.errors import NotFound
from rerank_ops.explaining import explain


def command(run: Any) -> dict[str, ModuleType]:
    """A command `try` whose work is `run`."""
    module = ModuleType("try_")
    module.add_parser = lambda subparsers: subparsers.add_parser("try", help="for the tests")  # type: ignore[attr-defined]
    module.run = run  # type: ignore[attr-defined]
    return {"try": module}


@pytest.fixture
def outcome(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def of(run: Any, *arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(cli, "discover", lambda: command(run))
        code = cli.main(["try", *arguments])
        return code, capsys.readouterr().err

    return of


def raising(error: BaseException) -> Any:
    def run(_: argparse.Namespace) -> int:
        raise error

    return run


def test_the_commands_exit_code_is_the_programs(outcome: Any) -> None:
    """What run returns is what the shell sees."""
    assert (3, "") == outcome(lambda _: 3)


def test_an_error_raised_on_purpose_is_told_with_its_tip(outcome: Any) -> None:
    """ERROR, TIP, exit code 1, no traceback."""
    code, said = outcome(raising(NotFound("No file 'x'.", tip="Build it.")))

    assert (1, "ERROR No file 'x'.\nTIP Build it.\n") == (code, said)


@pytest.mark.parametrize(
    "package", ["rerank_engine", "rerank_bundle", "rerank_infra", "rerank_client", "rerank_local", "rerank_ops"]
)
def test_errors_of_every_room_are_told_the_same_way(package: str) -> None:
    """The base classes need not be imported to be recognised."""
    error_type = type("SomeError", (Exception,), {"tip": "Do this.", "__module__": f"{package}.errors"})
    explained = explain(error_type("It broke."))

    assert explained is not None
    assert ("It broke.", "Do this.", 1) == (explained.message, explained.tip, explained.exit_code)


@pytest.mark.parametrize(
    ("error", "said", "tip"),
    [
        (NoCredentialsError(), "No AWS credentials were found.", "--local"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), "127.0.0.1:1", "rerank local up"),
        (ClientError({"Error": {"Code": "ExpiredToken", "Message": "old"}}, "Invoke"), "ExpiredToken", "sign in again"),
        (FileNotFoundError(2, "No such file or directory", "x.jsonl"), "No such file or directory: x.jsonl", None),
        (ModuleNotFoundError("No module named 'moto'", name="moto"), "'moto' is not installed", "pip install"),
        (subprocess.CalledProcessError(7, ["cdk", "deploy"]), "Exit code 7 from: cdk deploy", None),
    ],
)
def test_errors_of_others_are_told_in_our_words(error: Exception, said: str, tip: str | None) -> None:
    """boto3, the file system, child processes, packages that are not installed."""
    explained = explain(error)

    assert explained is not None
    assert said in explained.message
    assert tip is None or tip in str(explained.tip)


def test_a_bug_shows_itself_in_one_line_and_its_traceback_on_demand(outcome: Any) -> None:
    """Nobody reads a traceback who did not ask for one."""
    code, said = outcome(raising(ZeroDivisionError("oh")))
    _, debugged = outcome(raising(ZeroDivisionError("oh")), "--debug")

    assert (1, "ERROR Unexpected ZeroDivisionError: oh\nTIP --debug shows the traceback.\n") == (code, said)
    assert "Traceback" in debugged


def test_interruption_is_exit_code_130(outcome: Any) -> None:
    """As the shell has it: 128 + SIGINT."""
    assert (130, "Interrupted.\n") == outcome(raising(KeyboardInterrupt()))


@pytest.mark.parametrize("arguments", [[], ["no-such-command"], ["invoke", "--no-such-flag"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """argparse says what is wrong."""
    with pytest.raises(SystemExit, match="2"):
        cli.main(arguments)

    assert "usage: rerank" in capsys.readouterr().err


@pytest.mark.parametrize("name", list(cli.discover()))
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--help of each command works and says more than its flags."""
    with pytest.raises(SystemExit, match="0"):
        cli.main([name, "--help"])

    assert len(capsys.readouterr().out) > 200


def test_commands_come_in_the_order_of_the_road() -> None:
    """Run a model, choose one, make one, look after the machine: every command has its place."""
    assert list(cli.ORDER) == list(cli.discover())


def test_help_costs_no_heavy_import() -> None:
    """`rerank --help` answers without torch, boto3, moto or the CDK."""
    heavy = ["torch", "boto3", "botocore", "moto", "aws_cdk", "pydantic", "uvicorn", "numpy"]
    code = (
        "import sys\nfrom rerank_ops import cli\n"
        "try: cli.main(['--help'])\nexcept SystemExit: pass\n"
        f"import json; print('\\n' + json.dumps([m for m in {heavy!r} if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert [] == json.loads(done.stdout.splitlines()[-1])


def test_a_reader_that_went_away_is_no_error() -> None:
    """`rerank … | head -1` ends quietly."""
    code = (
        "import sys\nfrom types import ModuleType\nfrom rerank_ops import cli\nm = ModuleType('m')\n"
        "m.add_parser = lambda s: s.add_parser('x')\n"
        "def run(args):\n    for _ in range(100000): print('line')\n    return 0\nm.run = run\n"
        "cli.discover = lambda: {'x': m}\nsys.exit(cli.main(['x']))"
    )
    done = subprocess.run(
        f'"{sys.executable}" -c "$CODE" | head -1',
        shell=True,
        capture_output=True,
        text=True,
        check=True,
        env={"CODE": code, "PATH": "/usr/bin:/bin"},
    )

    assert ("line\n", "") == (done.stdout, done.stderr)
