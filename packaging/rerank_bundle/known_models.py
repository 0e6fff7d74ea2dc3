"""Checkpoints whose revision or scores are published: the table `data/known_models.json`, read.

Source of the logits: the tests of fastembed against the official ONNX exports (raw logits, tolerance 1e-3).
Source of the revisions: commits of the main branches, as model cards and lock files of other projects name them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from rerank_bundle.errors import BundleError


@dataclass(frozen=True, slots=True)
class KnownModel:
    """One published checkpoint.

    Attributes:
        name: its id on the hub.
        revision: the full commit sha that is packaged by default; None when none has been settled.
        logits: published raw logits of the acceptance pairs, in their order; None when none were published.
        shape: config.json values by which renamed weights are recognised; empty when they are not looked for.
    """

    name: str
    revision: str | None
    logits: tuple[float, ...] | None
    shape: Mapping[str, int]

    def has_shape_of(self, config: Mapping[str, Any]) -> bool:
        """Whether `config` could be this model's under another name."""
        return bool(self.shape) and all(config.get(key) == value for key, value in self.shape.items())


@dataclass(frozen=True, slots=True)
class KnownModels:
    """The table: the acceptance pairs (one query, several documents) and the models that were scored on them.

    Attributes:
        tolerance: largest difference of a logit, in fp32, at which a model still counts as the published one.
    """

    query: str
    documents: tuple[str, ...]
    tolerance: float
    models: Mapping[str, KnownModel]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The acceptance pairs (query, document), in the order of `KnownModel.logits`."""
        return tuple((self.query, document) for document in self.documents)

    def named(self, name: str) -> KnownModel | None:
        """The model of that hub id; ids differ in case only by mistake."""
        wanted = name.casefold()
        return next((model for key, model in self.models.items() if key.casefold() == wanted), None)

    def shaped(self, config: Mapping[str, Any]) -> KnownModel | None:
        """The scored model whose shape `config` has."""
        return next((model for model in self.models.values() if model.logits and model.has_shape_of(config)), None)


@cache
def shipped() -> KnownModels:
    """The table that comes with this package."""
    return parse(json.loads(files("rerank_bundle").joinpath("data/known_models.json").read_text(encoding="utf-8")))


def parse(raw: Mapping[str, Any]) -> KnownModels:
    """The table from its JSON value.

    Raises:
        BundleError: a model has not one logit per document.
    """
    models: dict[str, KnownModel] = {}
    for name, entry in raw["models"].items():
        logits = entry["logits"]
        if logits is not None and len(logits) != len(raw["documents"]):
            raise BundleError(f"{name} has {len(logits)} published logits for {len(raw['documents'])} documents.")
        shape = MappingProxyType(dict(entry["shape"] or {}))
        models[name] = KnownModel(name, entry["revision"], None if logits is None else tuple(logits), shape)
    return KnownModels(raw["query"], tuple(raw["documents"]), float(raw["tolerance"]), MappingProxyType(models))
