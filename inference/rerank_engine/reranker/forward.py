"""Forward passes: lists of token ids in, logits out, whatever fits the device's memory."""

import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from rerank_engine.batching import distinct, plan
from rerank_engine.errors import NotFinite, OutOfMemory
from rerank_engine.models import CrossEncoder, PackedBatch

_log = logging.getLogger("rerank")
_SHOWN = 8


def run_passes(
    model: CrossEncoder,
    token_id_lists: Sequence[Sequence[int]],
    *,
    device: torch.device,
    token_budget: int,
    max_sequences: int,
) -> list[float]:
    """Logits in the order of `token_id_lists`.

    Equal lists are scored once. A batch that does not fit the memory is run as two halves, down to
    single pairs. The results are fetched once, at the end.

    Raises:
        OutOfMemory: a single pair does not fit.
        NotFinite: a logit is NaN or infinite.
        CheckpointError: a token id lies outside the model's vocabulary.
    """
    different, places = distinct(token_id_lists)
    done: list[int] = []
    logits: list[Tensor] = []
    pending = plan([len(ids) for ids in different], token_budget=token_budget, max_sequences=max_sequences)[::-1]
    while pending:
        batch = pending.pop()
        scored = _attempt(model, [different[index] for index in batch], device)
        if scored is not None:
            done += batch
            logits.append(scored)
        elif len(batch) > 1:
            middle = len(batch) // 2
            pending += [batch[middle:], batch[:middle]]
        else:
            raise OutOfMemory(
                f"A single pair of {len(different[batch[0]])} tokens does not fit the memory of {device}.",
                tip="Set RERANK_MAX_LENGTH to a shorter window, or take an instance with more memory.",
            )
    if not done:
        return []
    values: list[float] = torch.cat(logits).tolist()  # the one wait for the device
    by_place = dict(zip(done, values, strict=True))
    result = [by_place[place] for place in places]
    _check_finite(result)
    return result


def _attempt(model: CrossEncoder, token_id_lists: Sequence[Sequence[int]], device: torch.device) -> Tensor | None:
    """Logits of one pass, or None when it does not fit the memory."""
    try:
        with torch.inference_mode():
            logits: Tensor = model(PackedBatch.pack(token_id_lists, device, vocab_size=model.vocab_size))
            return logits
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
    # Outside the handler, whose traceback would keep the failed pass's tensors alive.
    _log.warning("out of memory with %d pairs of %d tokens", len(token_id_lists), sum(map(len, token_id_lists)))
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return None


def _is_out_of_memory(error: BaseException) -> bool:
    # PyTorch's CPU allocator has no class of its own for it: a RuntimeError that says so.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _check_finite(logits: Sequence[float]) -> None:
    wrong = [index for index, logit in enumerate(logits) if not -float("inf") < logit < float("inf")]
    if wrong:
        shown = ", ".join(map(str, wrong[:_SHOWN])) + (", …" if len(wrong) > _SHOWN else "")
        raise NotFinite(
            f"{len(wrong)} of {len(logits)} scores are NaN or infinite (pairs {shown}).",
            tip="Set RERANK_PRECISION to bf16 or fp32; if it stays, the weights are damaged: run `rerank verify`.",
        )
