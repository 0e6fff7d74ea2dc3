"""Scores that mean probabilities: sigmoid(a · logit + b), with a and b fitted on labelled pairs and kept in the bundle.

Platt, Probabilistic Outputs for Support Vector Machines (1999); with b = 0, temperature scaling at T = 1/a: Guo et al.,
On Calibration of Modern Neural Networks (2017), https://arxiv.org/abs/1706.04599.
"""

import math
from dataclasses import dataclass
from typing import Any, Self

METHODS = ("platt", "temperature")


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted calibration.

    Attributes:
        method: platt, or temperature (then b is 0).
        a: factor of the logit; positive, so that the order stays.
        b: shift, in logits.
    """

    method: str
    a: float
    b: float = 0.0

    def apply(self, logit: float) -> float:
        """The calibrated score of a logit, in (0, 1)."""
        return sigmoid(self.a * logit + self.b)

    @classmethod
    def of(cls, declared: dict[str, Any]) -> Self:
        """The calibration that a manifest declares: {"method", "a", "b"}.

        Raises:
            ValueError: the method is unknown, or a and b are not finite numbers with a > 0.
            KeyError, TypeError: a part is missing or not a number.
        """
        found = cls(str(declared["method"]), float(declared["a"]), float(declared.get("b", 0.0)))
        if found.method not in METHODS or not (math.isfinite(found.a) and math.isfinite(found.b) and found.a > 0):
            raise ValueError(f"calibration is {declared}")
        return found


def sigmoid(logit: float) -> float:
    """1 / (1 + e^-logit) without overflow."""
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    power = math.exp(logit)
    return power / (1 + power)
