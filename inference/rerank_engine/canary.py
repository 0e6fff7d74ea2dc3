"""Does the loaded model score as it should? Asked before the endpoint says that it is ready."""

import torch

from rerank_engine.checkpoint import Canary
from rerank_engine.errors import CheckpointError

FIXED_PAIR = ("What is the capital of France?", "Paris is the capital of France.")

# Beside the manifest's tolerance: how far reduced precision moves logits of the published shapes, with room to spare.
PRECISION_SLACK = {torch.float16: 0.02, torch.bfloat16: 0.15}


def check_logit(canary: Canary, logit: float, dtype: torch.dtype) -> None:
    """Raise CheckpointError unless `logit`, computed in `dtype`, is the canary's."""
    tolerance = canary.tolerance + PRECISION_SLACK.get(dtype, 0.0)
    if abs(logit - canary.logit) > tolerance:
        raise CheckpointError(
            f"The canary pair scored {logit:.4f}; its manifest says {canary.logit:.4f} ± {tolerance:g}.",
            tip="The weights, the tokenizer or alibi_tail_scale are not those that were packaged: package again.",
        )
