"""One AWS on this machine for the whole session, with the demo model deployed by the real CDK CLI."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rerank_bundle.build import build
from rerank_bundle.demo import make_demo_checkpoint
from rerank_local import cdk, lifecycle
from rerank_local.state import Home, LocalAws
from rerank_ops.aws import Aws

ROOT = Path(__file__).parents[2]
DEPLOYMENT = "sandbox"
ENDPOINT = "rerank-sandbox"


@dataclass
class Road:
    """A deployed demo: where it runs, what it was built from, what the CDK CLI said."""

    folder: Path
    local: LocalAws
    said: list[str] = field(default_factory=list)

    @property
    def aws(self) -> Aws:
        return Aws(local_env=self.local.env())

    def checkpoint(self, seed: int) -> Path:
        return self.folder / f"checkpoint-{seed}"

    def bundle(self, seed: int) -> Path:
        """The bundle of the demo checkpoint with this seed, built on first use."""
        path = self.folder / f"model-{seed}.tar.gz"
        if not path.exists():
            build(make_demo_checkpoint(self.checkpoint(seed), seed=seed), path, name=f"demo-{seed}")
        return path

    def deploy(self, seed: int) -> cdk.Outputs:
        return cdk.deploy(DEPLOYMENT, self.bundle(seed), local=self.local, root=ROOT, say=self.said.append)

    def destroy(self) -> None:
        cdk.destroy(DEPLOYMENT, local=self.local, root=ROOT, say=self.said.append)


@pytest.fixture(scope="session")
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """The local AWS, up and bootstrapped; taken down with every process it started."""
    folder = tmp_path_factory.mktemp("road")
    home = Home.of(folder / ".rerank" / "local")
    try:
        yield Road(folder, lifecycle.up(home, say=lambda _: None, root=ROOT))
    finally:
        lifecycle.down(home, say=lambda _: None)


@pytest.fixture
def rerank(road: Road, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """The `rerank` command in this process, in the project whose local AWS it is: (exit code, stdout, stderr)."""
    from rerank_ops import cli

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(road.folder)
        capsys.readouterr()
        code = cli.main(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout's own files, with its virtual environment and tools: what a clone would be."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    copy = tmp_path / "checkout"
    for name in names:
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    for name in (".venv", ".tools"):
        if (ROOT / name).exists():
            (copy / name).symlink_to(ROOT / name)
    return copy
