"""The OpenAPI document is true: what it promises is what the server does, whatever is sent."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from rerank_engine.dialects import DIALECTS
from rerank_engine.hosting import Hosting
from rerank_engine.server.app import RERANK_PATHS, ROUTES, App
from rerank_engine.server.life import Life
from rerank_engine.server.openapi import document
from rerank_engine.server.openapi_schemas import REQUESTS
from rerank_engine.settings import Settings
from rerank_engine.telemetry.telemetry import Telemetry

schemathesis = pytest.importorskip("schemathesis", reason="needs the extra dev")
jsonschema = pytest.importorskip("jsonschema", reason="needs the extra dev")

BOUNDED = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def api(engine_class: Callable[[], Any]) -> Iterator[Any]:
    """The document as the server gives it, bound to the server."""
    life = Life(Settings(), Hosting(), engine_class)
    life.start()
    life.join()
    yield schemathesis.openapi.from_asgi("/openapi.json", App(life, Telemetry()))
    life.end()


CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_headers_conformance,
    schemathesis.checks.response_schema_conformance,
]
OPERATIONS = [(path, method.upper()) for path, methods in document(RERANK_PATHS)["paths"].items() for method in methods]
ASKED = [
    *((path, method, "POSITIVE") for path, method in OPERATIONS),
    *((path, "POST", "NEGATIVE") for path in RERANK_PATHS),
]


@pytest.mark.parametrize(("path", "method", "mode"), ASKED)
def test_whatever_is_sent(api: Any, path: str, method: str, mode: str) -> None:
    """No 500; only the statuses, content types and bodies that the document names; good data is accepted."""
    cases = api[path][method].as_strategy(generation_mode=schemathesis.GenerationMode[mode])

    @BOUNDED
    @given(case=cases)
    def check(case: Any) -> None:
        answer = case.call()
        case.validate_response(answer, checks=CHECKS)
        if mode == "POSITIVE":
            assert 200 == answer.status_code, (case.body, answer.content)

    check()


def test_every_route_is_documented() -> None:
    """Paths and methods are those that the server has."""
    paths = document(RERANK_PATHS)["paths"]

    assert {path: {method.lower() for method in routes} for path, routes in ROUTES.items()} == {
        path: set(operations) for path, operations in paths.items()
    }


def test_every_dialect_has_its_schema() -> None:
    """Each dialect's example is what its schema describes, and that of no other dialect."""
    examples = {dialect.name: json.loads(dialect.example) for dialect in DIALECTS}

    fitting = {
        name: [other for other, schema in REQUESTS.items() if jsonschema.Draft202012Validator(schema).is_valid(example)]
        for name, example in examples.items()
    }

    assert {name: [name] for name in examples} == fitting
