"""Models with random weights and the pairs to try them on."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rerank_engine.models import CrossEncoder, PackedBatch, recognise
from rerank_engine.reranker.engine import Reranker
from rerank_engine.settings import Settings

CPU = torch.device("cpu")
Weights = dict[str, NDArray[np.float64]]


@pytest.fixture(scope="session")
def reranker(tiny_checkpoint: Path) -> Reranker:
    """The demo checkpoint, loaded with default settings."""
    return Reranker.load(tiny_checkpoint, Settings())


@pytest.fixture(scope="session")
def config() -> Callable[..., dict[str, Any]]:
    """config.json of a JinaBERT as published, with the keys given changed."""

    def make(**changes: Any) -> dict[str, Any]:
        return {
            "architectures": ["JinaBertModel"],
            "emb_pooler": "mean",
            "feed_forward_type": "geglu",
            "hidden_act": "gelu",
            "hidden_size": 48,
            "intermediate_size": 72,
            "layer_norm_eps": 1e-12,
            "max_position_embeddings": 64,
            "model_type": "bert",
            "num_attention_heads": 12,
            "num_hidden_layers": 2,
            "pad_token_id": 0,
            "position_embedding_type": "alibi",
            "type_vocab_size": 2,
            "vocab_size": 150,
        } | changes

    return make


@pytest.fixture(scope="session")
def random_model() -> Callable[..., tuple[CrossEncoder, Weights]]:
    """A model of shape `config` in `dtype` with every weight random, and its weights as float64 arrays."""

    def make(config: dict[str, Any], *, dtype: torch.dtype = torch.float64) -> tuple[CrossEncoder, Weights]:
        random = np.random.default_rng(7)
        with torch.device("meta"):
            model = recognise(config).from_config(config)
        weights = {
            name: random.standard_normal(tensor.shape) * (2 / tensor.shape[-1] ** 0.5 if tensor.ndim > 1 else 0.3)
            for name, tensor in model.state_dict().items()
        }
        model.load_state_dict({name: torch.from_numpy(w).to(dtype) for name, w in weights.items()}, assign=True)
        return model, weights

    return make


@pytest.fixture(scope="session")
def pack() -> Callable[[Sequence[Sequence[int]]], PackedBatch]:
    """A packed batch on the CPU, of a vocabulary of 150."""
    return lambda token_id_lists: PackedBatch.pack(token_id_lists, CPU, vocab_size=150)


@pytest.fixture(scope="session")
def random_pairs() -> Callable[..., list[list[int]]]:
    """Token id lists of the given lengths, ids below 150."""

    def make(*lengths: int) -> list[list[int]]:
        random = np.random.default_rng(sum(lengths))
        return [random.integers(0, 150, length).tolist() for length in lengths]

    return make
