"""Does the loaded model score as it should? Asked before the endpoint says that it is ready."""

from rerank_engine.errors import CheckpointError
from rerank_engine.models.checkpoint import Canary

FIXED_PAIR = ("What is the capital of France?", "Paris is the capital of France.")

# Beside the manifest's tolerance: how far a lower precision moves logits of the published shapes, with room to spare.
PRECISION_SLACK = {"fp16": 0.02, "mixed": 0.05, "bf16": 0.15, "int8": 0.3}


def check_logit(canary: Canary, logit: float, precision: str) -> None:
    """Raise CheckpointError unless `logit`, computed in `precision`, is the canary's."""
    tolerance = canary.tolerance + PRECISION_SLACK.get(precision, 0.0)
    if abs(logit - canary.logit) > tolerance:
        raise CheckpointError(
            f"The canary pair scored {logit:.4f}; its manifest says {canary.logit:.4f} ± {tolerance:g}.",
            tip="The weights, the tokenizer or alibi_tail_scale are not those that were packaged: package again.",
        )
