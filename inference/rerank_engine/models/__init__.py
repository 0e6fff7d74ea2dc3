"""Model families, recognised from config.json. A new family is a module here and a line in FAMILIES."""

from pathlib import Path
from typing import Any

import torch

from rerank_engine.errors import CheckpointError
from rerank_engine.models.base import CrossEncoder, PackedBatch
from rerank_engine.models.bert import Bert
from rerank_engine.models.checkpoint import read_checkpoint
from rerank_engine.models.deberta_v2 import DebertaV2
from rerank_engine.models.jina_bert import JinaBert
from rerank_engine.models.weights import load_weights
from rerank_engine.models.xlm_roberta import XlmRoberta

__all__ = ["FAMILIES", "CrossEncoder", "PackedBatch", "load_model", "recognise"]

FAMILIES: tuple[type[CrossEncoder], ...] = (JinaBert, Bert, XlmRoberta, DebertaV2)


def recognise(config: dict[str, Any]) -> type[CrossEncoder]:
    """The family of a checkpoint.

    Raises:
        CheckpointError: none of FAMILIES recognises it.
    """
    for family in FAMILIES:
        if family.matches(config):
            return family
    said = {key: config.get(key) for key in ("model_type", "architectures", "position_embedding_type")}
    raise CheckpointError(
        f"config.json describes no known model family: {', '.join(f'{key} {value!r}' for key, value in said.items())}.",
        tip=f"Supported families: {', '.join(family.family for family in FAMILIES)}.",
    )


def load_model(model_dir: Path, *, device: torch.device, dtype: torch.dtype) -> CrossEncoder:
    """The model in `model_dir` (config.json and model.safetensors), ready to score.

    Raises:
        CheckpointError: a file is missing or damaged, the family is unknown, or the weights do not fit it.
    """
    config = read_checkpoint(model_dir).config
    with torch.device("meta"):  # no memory and no random initialisation: the weights are assigned, not copied
        model = recognise(config).from_config(config)
    load_weights(model, model_dir, device=device, dtype=dtype)
    return model.eval()
