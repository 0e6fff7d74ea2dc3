"""The door `cdk` goes through."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rerank_infra import assembly
from rerank_infra.errors import BundleMissing, ConfigError

ROOT = Path(__file__).parents[2]
APP = ROOT / "infra" / "app.py"


def run(tmp_path: Path, *flags: str, **context: str) -> subprocess.CompletedProcess[str]:
    """The app as the CDK CLI runs it: context and output folder in the environment."""
    shared = json.loads((ROOT / "cdk.json").read_text())["context"]
    environment = os.environ | {
        "CDK_CONTEXT_JSON": json.dumps(shared | context),
        "CDK_OUTDIR": str(tmp_path / "cdk.out"),
        "CDK_DEFAULT_ACCOUNT": "123456789012",
        "CDK_DEFAULT_REGION": "us-east-1",
    }
    command = [sys.executable, *flags, str(APP)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_the_sandbox_is_what_one_gets_without_asking(tmp_path: Path, bundle: Path) -> None:
    """Without -c deployment the sandbox's two stacks are synthesized, and nothing is complained about."""
    done = run(tmp_path, bundle=str(bundle))
    templates = sorted(path.name for path in (tmp_path / "cdk.out").glob("*.template.json"))

    assert (0, "") == (done.returncode, done.stderr)
    assert ["Rerank-sandbox-Endpoint.template.json", "Rerank-sandbox-Foundation.template.json"] == templates


@pytest.mark.parametrize(
    ("context", "error", "tip"),
    [
        ({"deployment": "nope"}, "ERROR There is no deployment 'nope'", "known: production, sandbox"),
        ({"bundle": "nowhere.tar.gz"}, "ERROR bundle.path has value 'nowhere.tar.gz'", "`rerank package SOURCE`"),
    ],
)
def test_errors_are_for_the_person_who_reads_them(
    tmp_path: Path, context: dict[str, str], error: str, tip: str
) -> None:
    """What is wrong and what to do, on two lines of stderr; no traceback."""
    done = run(tmp_path, **context)
    first, second = done.stderr.strip().splitlines()

    assert (1, "") == (done.returncode, done.stdout)
    assert first.startswith(error)
    assert second.startswith("TIP ")
    assert tip in second


def test_a_python_without_the_packages_is_told_about_the_environment(tmp_path: Path) -> None:
    """The system's Python, first on PATH by mistake, points to the virtual environment."""
    done = run(tmp_path, "-S", "-E")

    assert 1 == done.returncode
    assert "ERROR" in done.stderr
    assert "TIP Put the virtual environment first on PATH" in done.stderr


def test_a_region_has_to_be_known(loaded: Callable[..., Any], no_region: None, bundle: Path) -> None:
    """Images differ by region: without one, nothing is guessed."""
    import aws_cdk as cdk

    deployment = loaded("sandbox").model_copy(update={"region": None})

    with pytest.raises(ConfigError, match="region is not set"):
        assembly.add_stacks(cdk.App(), deployment, bundle_path=bundle)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip"], ids=["empty", "zip"])
def test_a_bundle_is_a_gzip_archive(tmp_path: Path, synthesize: Callable[..., Any], content: bytes) -> None:
    """Another kind of file is refused before anything is uploaded."""
    path = tmp_path / "model.tar.gz"
    path.write_bytes(content)

    with pytest.raises(BundleMissing, match="not a gzip archive") as caught:
        synthesize("sandbox", bundle_path=path)

    assert "rerank package" in caught.value.tip


def test_the_deployment_is_data_without_the_cdk() -> None:
    """Reading a deployment does not import the CDK: other rooms may look at it cheaply."""
    code = "import sys; from rerank_infra import loading; print('aws_cdk' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert "False False" == done.stdout.strip()


def test_the_door_is_thin() -> None:
    """app.py only opens."""
    assert len(APP.read_text().splitlines()) <= 40
