"""The interface every model family stands behind: packed tokens in, one logit per pair out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import torch
from torch import Tensor, nn

from rerank_engine.errors import CheckpointError


@dataclass(frozen=True)
class PackedBatch:
    """Pairs laid end to end, without padding.

    Attributes:
        token_ids: int64 (T,), every token of the batch, on the model's device.
        lengths: tokens of each of the B pairs, on the host, so that planning attention never waits for the device.
    """

    token_ids: Tensor
    lengths: tuple[int, ...]

    @classmethod
    def pack(cls, token_id_lists: Sequence[Sequence[int]], device: torch.device, *, vocab_size: int) -> Self:
        """Pack pairs given as lists of token ids, none of them empty.

        Raises:
            CheckpointError: an id lies outside the vocabulary; on a GPU it would kill the process's CUDA context.
        """
        lengths = tuple(len(ids) for ids in token_id_lists)
        flat = np.fromiter(chain.from_iterable(token_id_lists), dtype=np.int64, count=sum(lengths))  # (T,)
        if flat.min() < 0 or flat.max() >= vocab_size:
            raise CheckpointError(
                f"Token ids {flat.min()}..{flat.max()} do not fit the model's {vocab_size} embedding rows: "
                "tokenizer.json is not this model's."
            )
        return cls(token_ids=torch.from_numpy(flat).to(device, non_blocking=True), lengths=lengths)

    @property
    def max_length(self) -> int:
        """Tokens of the longest pair."""
        return max(self.lengths)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Position of each pair's first token, and T at the end: B + 1 integers on the host."""
        return tuple(accumulate(self.lengths, initial=0))

    @cached_property
    def cu_seqlens(self) -> Tensor:
        """`starts` as int32 (B+1,) on the device, the form variable-length attention kernels take."""
        return torch.tensor(self.starts, dtype=torch.int32).to(self.token_ids.device, non_blocking=True)

    @cached_property
    def positions(self) -> Tensor:
        """Place of each token in its pair, from 0: int64 (T,) on the device."""
        places = np.arange(self.starts[-1]) - np.repeat(self.starts[:-1], self.lengths)
        return torch.from_numpy(places).to(self.token_ids.device, non_blocking=True)


class CrossEncoder(nn.Module):
    """A model family. Subclasses name their submodules as the published state_dict does.

    Attributes:
        family: name of the family, as written in a bundle's manifest.
        vocab_size: rows of the token embedding.
        window: tokens of the longest pair the checkpoint was made for.
        max_positions: tokens beyond which the model cannot compute at all; None when positions are relative.
        separator_id: id that stands between query and document, set on load from the tokenizer: a family with segment
            embeddings finds the document by it. Negative when unknown.
        ignored_tensors: names of tensors that some checkpoints carry and no computation reads, such as position_ids.
    """

    family: ClassVar[str]
    ignored_tensors: ClassVar[frozenset[str]] = frozenset()
    vocab_size: int
    window: int
    max_positions: int | None = None
    separator_id: int = -1

    @classmethod
    def matches(cls, config: dict[str, Any]) -> bool:
        """Whether config.json describes a checkpoint of this family."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The model of shape `config`, with uninitialised weights (build it under the meta device).

        Raises:
            CheckpointError: the family is right but this variant of it is not implemented.
        """
        raise NotImplementedError

    def forward(self, batch: PackedBatch) -> Tensor:
        """Logits (B,) of the pairs in `batch`: float32, or float64 for a float64 model."""
        raise NotImplementedError


class Attention(Protocol):
    """softmax(q kᵀ / √d + bias) v within each pair."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *, first: bool = False) -> Tensor:
        """k, v (T, H, d) and q (T, H, d), or (B, H, d) when `first` tokens alone ask; the result has q's shape."""
        ...
