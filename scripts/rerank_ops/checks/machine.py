"""What is installed here. No network."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from rerank_local import cdk_cli
from rerank_ops.checks.base import Finding, fail, ok, warn

ROOT = Path(__file__).resolve().parents[3]
OLDEST_PYTHON, OLDEST_TORCH, OLDEST_NODE, OLDEST_CDK = (3, 11), (2, 6), (cdk_cli.OLDEST_NODE,), (2, 1148, 0)
_SETUP = "scripts/run sets it up."


def findings() -> Iterator[Finding]:
    """Python, the packages, Node, the CDK CLI, Java."""
    yield python()
    yield torch()
    yield packages()
    yield program("node", ["--version"], OLDEST_NODE, f"Install Node 22, or: {_SETUP}")
    yield program(
        "cdk",
        ["--version"],
        OLDEST_CDK,
        f"npm install --prefix .tools aws-cdk@2.1148.1 (not latest: older), or: {_SETUP}",
    )
    yield java()


def python() -> Finding:
    """The Python that runs this."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        return fail("python", found, "Install Python 3.11 or newer.")
    return ok("python", f"{found} ({sys.prefix})")


def torch() -> Finding:
    """PyTorch and the device it would compute on."""
    version = installed("torch")
    if version is None:
        return fail("torch", "not installed", f"pip install torch, or: {_SETUP}")
    if numbers(version) < OLDEST_TORCH:
        return fail("torch", version, "Install torch 2.6 or newer.")
    import torch

    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else f"CPU, {os.cpu_count()} cores"
    return ok("torch", f"{version} on {device}")


def packages() -> Finding:
    """The Python packages of packaging, deploying and the local AWS."""
    wanted = ("boto3", "aws-cdk-lib", "cdk-nag", "moto", "uvicorn", "tokenizers", "safetensors", "huggingface_hub")
    missing = [name for name in wanted if installed(name) is None]
    if missing:
        return fail("packages", f"missing: {', '.join(missing)}", "pip install -e '.[ops]'")
    return ok("packages", ", ".join(f"{name} {installed(name)}" for name in ("aws-cdk-lib", "boto3", "moto")))


def program(name: str, arguments: list[str], oldest: tuple[int, ...], remedy: str) -> Finding:
    """A program of this checkout's .tools, or on PATH, and whether it is new enough."""
    path = find(name)
    if path is None:
        return fail(name, "not found", remedy)
    version = output_of([path, *arguments])
    if numbers(version) < oldest:
        return fail(name, f"{version or 'does not run'} ({path})", remedy)
    return ok(name, f"{version} ({path})")


def java() -> Finding:
    """Java: only the tests against AWS's own serving stack need it."""
    path = shutil.which("java")
    if path is None:
        return warn("java", "not found", "Only the tests against AWS's own server need it: install Java 17.")
    return ok("java", output_of([path, "-version"]))


def find(name: str) -> str | None:
    """Where a program is: .tools first, then this environment, then PATH."""
    folders = [ROOT / ".tools" / "node_modules" / ".bin", ROOT / ".tools" / "bin", Path(sys.prefix) / "bin"]
    return shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")]))


def output_of(command: list[str]) -> str:
    """First line of what a command says about itself; empty when it does not run."""
    env = os.environ | {
        "PATH": os.pathsep.join([str(ROOT / ".tools" / "bin"), os.environ.get("PATH", "")]),
        "NODE_NO_WARNINGS": "1",
    }
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=env, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0].strip() if lines and done.returncode == 0 else ""


def installed(name: str) -> str | None:
    """Version of an installed package."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: (2, 13, 0) of "2.13.0+cpu", (22, 11, 0) of "v22.11.0"."""
    match = re.search(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()
