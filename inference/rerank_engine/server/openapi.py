"""The OpenAPI 3.1 document of our server, made from the dialects' own examples. https://spec.openapis.org/oas/v3.1.1"""

import json
from collections.abc import Iterable
from typing import Any

from rerank_engine.dialects import DIALECTS
from rerank_engine.server.openapi_schemas import REQUESTS
from rerank_engine.service.attributes import CUSTOM_ATTRIBUTES
from rerank_engine.service.media import CSV, JSON, JSON_LINES

_TEXT = {"schema": {"type": "string"}}
_OURS = {
    400: "Not JSON, not text, or empty.",
    406: "Accept allows neither JSON nor JSON Lines.",
    408: "The body did not arrive before the deadline.",
    413: "The body, or the answer it asks for, is larger than SageMaker takes.",
    415: "A Content-Type, charset or Content-Encoding that is not read.",
    422: "JSON of a shape, a field or a value that is not taken; the body lists what is wrong.",
    429: "One caller has more than its share of the queue: try again when some are answered.",
    500: "The model made NaN, or an error of ours.",
    503: "Loading, shutting down, full, or out of memory: try again.",
    504: "Not done before the deadline.",
}
_RETRY = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}


def document(rerank_paths: Iterable[str]) -> dict[str, Any]:
    """The document; `rerank_paths` take requests, all of the same kinds."""
    paths: dict[str, Any] = {
        "/ping": {
            "get": {
                "summary": "Health: whether a request sent now would be answered",
                "responses": {
                    "200": {"description": "Ready: the canary pair scored as recorded, the worker lives."},
                    "503": {"description": "Not ready, with the reason.", "content": {JSON: _schema("Trouble")}},
                },
            }
        },
        "/execution-parameters": {
            "get": {
                "summary": "What batch transform should do when the job does not say",
                "responses": {"200": {"description": "Parameters.", "content": {JSON: _schema("Execution")}}},
            }
        },
        "/metrics": {
            "get": {
                "summary": "Prometheus' page",
                "responses": {"200": {"description": "Metrics.", "content": {"text/plain": _TEXT}}},
            }
        },
        "/openapi.json": {
            "get": {
                "summary": "This document",
                "responses": {
                    "200": {"description": "OpenAPI 3.1.", "content": {JSON: {"schema": {"type": "object"}}}}
                },
            }
        },
    }
    paths |= {path: {"post": _rerank()} for path in rerank_paths}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Reranker",
            "version": "1",
            "description": "Scores documents against a query. The request's shape says which of the wire formats it is "
            "in; the answer and its errors come in the same.",
        },
        "paths": paths,
        "components": {"schemas": _schemas(), "responses": {str(status): _error(status) for status in _OURS}},
    }


def _rerank() -> dict[str, Any]:
    answered = {"description": "Scores.", "headers": {CUSTOM_ATTRIBUTES: {"schema": {"type": "string"}}}}
    examples = {dialect.name: {"value": json.loads(dialect.example)} for dialect in DIALECTS}
    return {
        "summary": "Rerank documents, or score pairs",
        "requestBody": {
            "required": True,
            "content": {
                JSON: {**_schema("Request"), "examples": examples},
                **dict.fromkeys((*JSON_LINES, CSV), _TEXT),
            },
        },
        "responses": {
            "200": {**answered, "content": {JSON: {"schema": {}}, **dict.fromkeys(JSON_LINES, _TEXT)}},
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in _OURS},
        },
    }


def _schemas() -> dict[str, Any]:
    names = [dialect.name for dialect in DIALECTS]
    return {
        "Request": {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in names]},
        **{name: REQUESTS[name] for name in names},
        "Error": {"type": "object", "minProperties": 1, "description": "In the shape of the caller's own format."},
        "Trouble": {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}},
        "Execution": {
            "type": "object",
            "required": ["MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"],
            "properties": {
                "MaxConcurrentTransforms": {"type": "integer", "minimum": 1},
                "BatchStrategy": {"enum": ["MULTI_RECORD"]},
                "MaxPayloadInMB": {"type": "integer", "minimum": 1},
            },
        },
    }


def _error(status: int) -> dict[str, Any]:
    retry = {"headers": _RETRY} if status in (429, 503) else {}
    kinds = {kind: _schema("Error") for kind in (JSON, *JSON_LINES)}
    return {"description": _OURS[status], **retry, "content": kinds}


def _schema(name: str) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{name}"}}
