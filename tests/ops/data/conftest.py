"""A small model archive whose server the tests steer, a store to fetch it from, and a fleet that runs it."""

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pytest

from rerank_ops.local.data.container import Care
from rerank_ops.local.data.endpoints import EndpointFleet
from rerank_ops.local.data.values import VariantSpec

SERVER = Path(__file__).parent / "fake_container.py"


@dataclass
class Models:
    """Model archives by URL; `variant` describes one that runs the fake container."""

    objects: dict[str, bytes] = field(default_factory=dict)
    url: str = "s3://models/fake.tar.gz"
    care: Care = field(
        default_factory=lambda: Care(stop_grace_s=5.0, ping_every_s=0.1, failed_pings=3, restarts=2, pause_s=0.05)
    )

    @staticmethod
    def pack(files: dict[str, bytes]) -> bytes:
        """A tar.gz of these members."""
        target = io.BytesIO()
        with tarfile.open(fileobj=target, mode="w:gz") as tar:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        return target.getvalue()

    def fetch(self, url: str) -> BinaryIO:
        return io.BytesIO(self.objects[url])

    def variant(self, name: str = "main", *, url: str | None = None, weight: float = 1.0, **env: str) -> VariantSpec:
        return VariantSpec(
            name=name, model_data_url=url or self.url, environment={"FAKE_NAME": name, **env}, weight=weight
        )


@pytest.fixture
def models() -> Models:
    """A store that holds the fake container's archive."""
    store = Models()
    store.objects[store.url] = store.pack({"code/serve.py": SERVER.read_bytes(), "config.json": b"{}"})
    return store


@pytest.fixture
def fleet(models: Models, tmp_path: Path) -> Iterator[EndpointFleet]:
    """No endpoint yet; whatever a test starts is stopped at its end."""
    started = EndpointFleet(models.fetch, tmp_path / "logs", invocation_timeout_s=5.0, care=models.care)
    yield started
    started.stop_all()
