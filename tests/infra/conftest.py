"""One CDK app per deployment and session: the first synthesis starts Node, later ones are quick."""

import gzip
import json
import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")  # read when aws_cdk starts Node

from rerank_infra import loading
from rerank_infra.deployment import Deployment

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = ROOT / "infra" / "deployments"
ACCOUNT, REGION = "123456789012", "us-east-1"


@dataclass(frozen=True)
class Template:
    """A synthesized template, read by type and property, never by logical id."""

    body: dict[str, Any]

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        return {key: value for key, value in self.body["Resources"].items() if value["Type"] == kind}

    def properties(self, kind: str, **wanted: Any) -> list[dict[str, Any]]:
        found = [value["Properties"] for value in self.resources(kind).values()]
        return [p for p in found if all(p.get(key) == value for key, value in wanted.items())]

    def only(self, kind: str, **wanted: Any) -> dict[str, Any]:
        (found,) = self.properties(kind, **wanted)
        return found

    def statements(self, sid: str, kind: str = "AWS::IAM::Policy") -> list[dict[str, Any]]:
        documents = [p["PolicyDocument"] for p in self.properties(kind)]
        return [s for document in documents for s in document["Statement"] if s.get("Sid") == sid]


@dataclass(frozen=True)
class Stacks:
    """What `cdk synth` writes for one deployment."""

    deployment: Deployment
    foundation: Template
    endpoint: Template
    assets: dict[str, Any]
    accepted: dict[str, str]  # findings of cdk-nag and their reasons


def context() -> dict[str, Any]:
    return dict(json.loads((ROOT / "cdk.json").read_text())["context"])


def load(name: str, /, **changes: Any) -> Deployment:
    """A shipped deployment, in a known account and region, with tables merged in."""
    tables = tomllib.loads((DEPLOYMENTS / f"{name}.toml").read_text()) | {"account": ACCOUNT, "region": REGION}
    for key, value in changes.items():
        tables[key] = tables.get(key, {}) | value if isinstance(value, dict) else value
    return loading.validate(tables, source=f"{name}.toml")


Synthesize = Callable[..., Stacks]


@pytest.fixture(scope="session")
def make_bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    def make(content: str) -> Path:
        path = tmp_path_factory.mktemp("bundle") / "model.tar.gz"
        path.write_bytes(gzip.compress(content.encode(), mtime=0))
        return path

    return make


@pytest.fixture(scope="session")
def bundle(make_bundle: Callable[[str], Path]) -> Path:
    return make_bundle("a model")


@pytest.fixture(scope="session")
def synthesize(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Synthesize:
    def run(name: str, *, bundle_path: Path = bundle, **changes: Any) -> Stacks:
        import aws_cdk as cdk

        from rerank_infra import assembly

        outdir = tmp_path_factory.mktemp("cdk-out")
        app = cdk.App(analytics_reporting=False, context=context(), outdir=str(outdir))
        deployment = load(name, **changes)
        assembly.add_stacks(app, deployment, bundle_path=bundle_path)
        app.synth()
        bodies = [
            Template(json.loads((outdir / f"Rerank-{name}-{stack}.template.json").read_text()))
            for stack in ("Foundation", "Endpoint")
        ]
        assets = json.loads((outdir / f"Rerank-{name}-Endpoint.assets.json").read_text())
        metadata = [json.loads(path.read_text()) for path in outdir.glob("*.metadata.json")]
        entries = [entry for constructs in metadata for entries in constructs.values() for entry in entries]
        accepted = [entry["data"] for entry in entries if entry["type"] == "aws:cdk:acknowledged-rules"]
        reasons = {finding: reason for data in accepted for finding, reason in data.items()}
        return Stacks(deployment, *bodies, assets=assets, accepted=reasons)

    return run


@pytest.fixture(scope="session")
def sandbox(synthesize: Synthesize) -> Stacks:
    return synthesize("sandbox")


@pytest.fixture(scope="session")
def production(synthesize: Synthesize) -> Stacks:
    return synthesize("production")


@pytest.fixture(params=["sandbox", "production"])
def stacks(request: pytest.FixtureRequest) -> Stacks:
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def loaded() -> Callable[..., Deployment]:
    return load


@pytest.fixture
def no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CDK_DEFAULT_ACCOUNT", "CDK_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
