"""Payloads that are nearly right, in every dialect: a 200 or a 4xx, never a crash."""

import json
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from rerank_engine.dialects import DIALECTS
from rerank_engine.dialects.recognition import _ALONE, _OPTIONS
from rerank_engine.service.service import Service
from rerank_engine.settings import Settings

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
KEYS = [
    *_ALONE,
    *_OPTIONS,
    *("query", "documents", "top_n", "text", "text_pair", "parameters", "task_settings", "id", "model", "priority"),
    *("return_documents", "score", "order", "score_threshold", "truncate", "aggregate", "raw_scores", "return_text"),
]
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
EXAMPLES = [json.loads(dialect.example) for dialect in DIALECTS]


def mutated(payload: Any, changes: dict[str, Any]) -> Any:
    """`payload` with some of its keys, at any depth, given other values, and others added at the top."""
    if isinstance(payload, dict):
        return {key: changes.get(key, mutated(value, changes)) for key, value in payload.items()}
    return [mutated(value, changes) for value in payload] if isinstance(payload, list) else payload


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    example=st.sampled_from(EXAMPLES),
    changes=st.dictionaries(st.sampled_from(KEYS), values, max_size=3),
    extra=st.dictionaries(st.sampled_from(KEYS), values, max_size=2),
)
def test_nearly_right_payloads(engine: Any, example: Any, changes: dict[str, Any], extra: dict[str, Any]) -> None:
    """Whatever a field holds, the answer is JSON, and not our fault."""
    body = json.dumps(mutated(example, changes) | extra)

    reply = Service(engine, Settings()).handle(body, "application/json")

    assert reply.status in (200, 400, 422), body
    json.loads(reply.body)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.text(alphabet=st.sampled_from('"\\,[]{}:1aé \n\r\ud800'), max_size=60) | st.binary(max_size=40))
def test_any_rows(engine: Any, body: str | bytes) -> None:
    """Rows of anything are answered line for line."""
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    assume(not data.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"BZh", b"\xfd7zXZ")))  # compressed
    assume(not data.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")))  # UTF-16 and UTF-32

    reply = Service(engine, Settings()).handle(data, "text/csv")

    lines = data.split(b"\n")
    expected = len(lines) - 1 if len(lines) > 1 and not lines[-1] else len(lines)
    assert (200, expected) == (reply.status, len(reply.body.split(b"\n")))
