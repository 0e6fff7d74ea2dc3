"""Holds a checkpoint's scores against the published ones, and settles its slope variant by them.

Acceptance goes by the name under which a model is packaged: whoever ships "jinaai/jina-reranker-v1-tiny-en" ships a
model that gives its published logits, or ships nothing. A checkpoint of the same shape under another name (a fine-tune,
random weights for a benchmark) is tried as well, since it may be the published one renamed; when it differs, it is not
refused but recorded as unchecked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rerank_bundle.errors import ScoreMismatch
from rerank_bundle.known_models import KnownModel, KnownModels

HALVED, CANONICAL = 0.5, 1.0
Variant = float | None  # an alibi_tail_scale; None leaves it to config.json and the engine


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is known of a checkpoint before it is scored.

    Attributes:
        model: the published model it may be; None when it is like none.
        binding: whether it carries that model's name, so that other scores are refused.
    """

    model: KnownModel | None
    binding: bool

    @property
    def logits(self) -> tuple[float, ...] | None:
        """The published logits, where there are some."""
        return self.model.logits if self.model is not None else None


def expect(name: str, config: Mapping[str, Any], known: KnownModels) -> Expectation:
    """What is published of the model called `name`, or of one with its shape."""
    by_name = known.named(name)
    if by_name is not None:
        return Expectation(by_name, binding=True)
    return Expectation(known.shaped(config), binding=False)


def variants(config: Mapping[str, Any], expectation: Expectation) -> tuple[Variant, ...]:
    """The values of `alibi_tail_scale` to be scored; the first is the one taken when scores settle nothing."""
    if config.get("position_embedding_type") != "alibi":
        return (None,)
    if "alibi_tail_scale" in config and expectation.logits is None:
        return (None,)
    return (None, CANONICAL, HALVED)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the scores settled.

    Attributes:
        variant: position of the chosen variant in the sequence that was scored.
        checked: whether its scores are the published ones.
        reason: why they were not checked; empty when they were.
    """

    variant: int
    checked: bool
    reason: str = ""


def judge(
    expectation: Expectation, tried: Sequence[Variant], logits: Sequence[Sequence[float]], *, tolerance: float
) -> Verdict:
    """Choose the variant whose acceptance logits are nearest to the published ones, if they are near enough.

    Args:
        tried: the variants, the default first.
        logits: per variant, the logits of the acceptance pairs.

    Raises:
        ScoreMismatch: the checkpoint carries a published model's name but scores like none of the variants.
    """
    published, model = expectation.logits, expectation.model
    if model is None:
        return Verdict(0, checked=False, reason="no scores are published for this model")
    if published is None:
        return Verdict(0, checked=False, reason=f"no scores are published for {model.name}")
    gaps = [gap(scores, published) for scores in logits]
    best = min(range(len(gaps)), key=gaps.__getitem__)
    if gaps[best] <= tolerance:
        return Verdict(best, checked=True)
    if not expectation.binding:
        return Verdict(0, checked=False, reason=f"it has the shape of {model.name}, but other weights")
    raise ScoreMismatch(
        mismatch_text(
            model.name, published, {_label(variant): scores for variant, scores in zip(tried, logits, strict=True)}
        ),
        tip="Is this the published checkpoint, at its pinned revision? For other weights choose another name: --name.",
    )


def gap(scores: Sequence[float], published: Sequence[float]) -> float:
    """The largest difference of a logit; infinite when there are not as many."""
    if len(scores) != len(published):
        return float("inf")
    return max(abs(score - wanted) for score, wanted in zip(scores, published, strict=True))


def mismatch_text(name: str, published: Sequence[float], got: Mapping[str, Sequence[float]]) -> str:
    """Expected and computed logits, one line each."""
    lines = [f"The scores are not those published for {name}.", f"  expected {_numbers(published)}"]
    lines += [f"  got      {_numbers(scores)}{f'  ({label})' if label else ''}" for label, scores in got.items()]
    return "\n".join(lines)


def settled_scale(
    config: Mapping[str, Any], tried: Sequence[Variant], chosen: int, logits: Sequence[Sequence[float]]
) -> float:
    """The `alibi_tail_scale` of the chosen variant, as a number.

    The default variant's value is the engine's to know: it is the explicit variant that scores the same (canonical
    first, since head counts that are a power of two have no tail and score alike under both).
    """
    value = tried[chosen]
    if value is not None:
        return value
    if "alibi_tail_scale" in config:
        return float(config["alibi_tail_scale"])
    for position, variant in enumerate(tried):
        if variant is not None and list(logits[position]) == list(logits[chosen]):
            return variant
    return CANONICAL


def _label(variant: Variant) -> str:
    return "" if variant is None else f"alibi_tail_scale {variant}"


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
