"""What the student is asked to do, over lists of one query's passages.

* KL: the teacher's distribution over the list (listwise distillation).
* margin: squared error of score differences (margin-MSE, https://arxiv.org/abs/2010.02666), over all pairs of the list.
* label: the known positive first (cross entropy over the list).
* absolute: sigmoid(logit) near 1 for a known positive, near 0 for the list's last, random passage: keeps scores of
  different queries comparable, which the others leave open.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, softplus

WEIGHTS = {"kl": 1.0, "margin": 0.02, "label": 0.1, "absolute": 0.05}


def list_losses(logits: Tensor, teacher: Tensor, labelled: Tensor, *, temperature: float = 1.0) -> dict[str, Tensor]:
    """Each loss, a scalar.

    Args:
        logits: the student's (B, N).
        teacher: the teacher's scores (B, N), any offset per list.
        labelled: whether passage 0 is a known positive (B,).
        temperature: the teacher's scores are divided by it; the student learns teacher / temperature up to an offset.
    """
    wanted = teacher / temperature
    kl = kl_div(logits.log_softmax(-1), wanted.log_softmax(-1), log_target=True, reduction="batchmean")
    # The mean over all pairs of squared differences is twice the variance of the error over the list.
    margin = 2 * (logits - wanted).var(dim=-1, unbiased=False).mean()
    share = labelled.float()
    known = share.sum().clamp_min(1.0)
    first = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
    label = (cross_entropy(logits, first, reduction="none") * share).sum() / known
    absolute = ((softplus(-logits[:, 0]) + softplus(logits[:, -1])) * share).sum() / known
    return {"kl": kl, "margin": margin, "label": label, "absolute": absolute}


def total(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The weighted sum."""
    return torch.stack([weights.get(name, 0.0) * loss for name, loss in losses.items()]).sum()
