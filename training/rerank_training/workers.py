"""Several processes training one model: each does its share of a step, gradients are summed.

One process, several on a CPU (gloo), or one per GPU (nccl, started by torchrun or SageMaker) look the same to the loop.
"""

import os
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def join_workers(device: torch.device) -> None:
    """Join the group that the environment describes (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT), if it describes
    one.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")


def leave_workers() -> None:
    """Leave the group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    """This process among the workers, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many workers there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Add up the gradients of all workers, in place: one message for all of them."""
    if world() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    for gradient, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def any_worker(value: bool, model: torch.nn.Module) -> bool:
    """Whether `value` is true for any worker: what all of them have to do together, they decide together."""
    if world() == 1:
        return value
    told = torch.tensor([float(value)], device=next(model.parameters()).device)
    dist.all_reduce(told, op=dist.ReduceOp.MAX)
    return bool(told.item())


def gather(value: Any) -> list[Any]:
    """`value` of every worker, in the order of their ranks, at every worker."""
    if world() == 1:
        return [value]
    found: list[Any] = [None] * world()
    dist.all_gather_object(found, value)
    return found
