"""What the bundle's tests share: one bundle of the demo checkpoint, and a way to pack archives of any kind."""

import gzip
import io
import shutil
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from rerank_bundle.build import BundleReport, build
from rerank_bundle.unpack import unpack

Repack = Callable[[Path, Mapping[str, bytes | None]], Path]
Craft = Callable[..., Path]


@pytest.fixture(scope="session")
def inference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """inference/ as it is when the tests begin, so that an edit meanwhile does not tell two builds apart."""
    source = Path(__file__).resolve().parents[2] / "inference"
    return shutil.copytree(
        source, tmp_path_factory.mktemp("engine") / "inference", ignore=shutil.ignore_patterns("__pycache__")
    )


@pytest.fixture(scope="session")
def built(tiny_checkpoint: Path, inference: Path, tmp_path_factory: pytest.TempPathFactory) -> BundleReport:
    """Its bundle; not to be changed."""
    output = tmp_path_factory.mktemp("bundle") / "model.tar.gz"
    return build(tiny_checkpoint, output, source_id="demo", inference=inference)


@pytest.fixture
def checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the demo checkpoint that a test may change."""
    return shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint")


@pytest.fixture(scope="session")
def unpacked(built: BundleReport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle's files in a folder; not to be changed."""
    folder = tmp_path_factory.mktemp("unpacked")
    unpack(built.path, folder)
    return folder


@pytest.fixture
def craft(tmp_path: Path) -> Craft:
    """Packs (header, content) pairs as they are, whatever a bundle would allow."""

    def pack(*entries: tuple[tarfile.TarInfo, bytes], format: int = tarfile.USTAR_FORMAT) -> Path:
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w", format=format) as archive:
            for header, content in entries:
                header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
        path = tmp_path / "crafted.tar.gz"
        path.write_bytes(gzip.compress(raw.getvalue(), compresslevel=1))
        return path

    return pack


@pytest.fixture
def repack(unpacked: Path, craft: Craft) -> Callable[[Mapping[str, bytes | None]], Path]:
    """The bundle with some members replaced or added (bytes) or left out (None), packed anew."""

    def change(changes: Mapping[str, bytes | None]) -> Path:
        members: dict[str, bytes | None] = {
            path.relative_to(unpacked).as_posix(): path.read_bytes() for path in unpacked.rglob("*") if path.is_file()
        }
        members |= changes
        return craft(*((tarfile.TarInfo(name), data) for name, data in sorted(members.items()) if data is not None))

    return change
