"""Packed pairs in groups: padded ones for accelerators, which want few large calls, and equal ones for CPUs."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from rerank_engine.models.base import PackedBatch

RUN_TOKENS = 1024  # of one run of equal lengths: what attention copies of it stays in the cache
PADDING_SLACK = 1.25, 8  # neighbours share a group up to this factor of the shortest, plus this many tokens


class PaddedGroups:
    """Where the tokens of a packed batch lie when its pairs stand in padded groups, one below the other.

    Attributes:
        groups: per group the packed positions of its tokens (G, L) and which of them are padding (G, L), or None.
        home: (T,), each packed token's row among all rows of all groups.
        order: (B,), pairs in the order in which the groups have them.
        rank: (B,), the inverse of `order`.
    """

    def __init__(self, batch: PackedBatch, groups: Sequence[Sequence[int]]) -> None:
        """`groups` are indices of pairs, each pair in one group."""
        device = batch.token_ids.device
        starts, lengths = np.array(batch.starts[:-1]), np.array(batch.lengths)
        self.groups: list[tuple[Tensor, Tensor | None]] = []
        home = np.empty(batch.starts[-1], dtype=np.int64)
        members: list[int] = []
        done = 0
        for group in groups:
            chosen = list(group)
            offsets = np.arange(lengths[chosen].max())  # (L,)
            real = offsets < lengths[chosen][:, None]  # (G, L)
            positions = starts[chosen][:, None] + np.where(real, offsets, 0)  # (G, L)
            home[positions[real]] = done + np.flatnonzero(real)
            done += real.size
            members += chosen
            padding = None if real.all() else torch.from_numpy(~real).to(device, non_blocking=True)
            self.groups.append((torch.from_numpy(positions).to(device, non_blocking=True), padding))
        self.home = torch.from_numpy(home).to(device, non_blocking=True)
        self.order = torch.tensor(members).to(device, non_blocking=True)
        self.rank = torch.from_numpy(np.argsort(members)).to(device, non_blocking=True)


def near_equal(lengths: tuple[int, ...]) -> list[list[int]]:
    """Indices of `lengths` in groups whose longest is little longer than their shortest; every index once."""
    factor, slack = PADDING_SLACK
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if groups and lengths[index] <= factor * lengths[groups[-1][0]] + slack:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def equal_runs(lengths: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Neighbours of one length, as (length, how many): RUN_TOKENS tokens or one pair at most."""
    for length, same in groupby(lengths):
        left, most = len(list(same)), max(1, RUN_TOKENS // length)
        while left:
            yield length, min(left, most)
            left -= min(left, most)
