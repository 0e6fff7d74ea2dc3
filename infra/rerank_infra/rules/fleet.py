"""Instances and how many of them."""

import zoneinfo
from collections.abc import Iterator

from rerank_infra import instance_list
from rerank_infra.deployment import Deployment
from rerank_infra.errors import Problem
from rerank_infra.instances import InstanceType, Kind


def _instances(d: Deployment) -> Iterator[Problem]:
    for table, instance in (("endpoint", d.instance), ("batch", d.batch_instance)):
        key = f"{table}.instance_type"
        allowed = getattr(d, table).allow_unlisted_instance_type
        reason = _unlisted(instance, table) if not allowed else None
        reason = reason or _unfit(instance, hf=d.uses_hf_image)
        if reason:
            yield Problem(key, instance.value, *reason)
    ami = d.endpoint.inference_ami_version
    if ami != "auto" and not d.instance.has_gpu:
        yield Problem(
            "endpoint.inference_ami_version",
            ami,
            f"{d.instance.value} has no GPU to pick a driver for.",
            'Write "auto", or leave it out.',
        )


def _unlisted(instance: InstanceType, table: str) -> tuple[str, str] | None:
    """Why a name may be a typo, and what to write in its place."""
    if instance.is_listed:
        return None
    near = instance_list.nearest(
        instance.value, instance_list.TRANSFORM if table == "batch" else instance_list.ENDPOINT
    )
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    newer = f"If the type is newer than the list, write {table}.allow_unlisted_instance_type = true."
    return "SageMaker has no such instance type on the kit's list.", meant + newer


def _unfit(instance: InstanceType, *, hf: bool) -> tuple[str, str] | None:
    """Why the container cannot run there, and what can."""
    gpus = "Take ml.g4dn, ml.g5, ml.g6 or ml.g6e"
    if instance.kind is Kind.UNSUPPORTED:
        return "The engine has no code for this family.", f"{gpus}, or a CPU family such as ml.c7i."
    if instance.has_several_gpus:
        return "It has several GPUs and the engine runs on one.", f"{gpus} up to 8xlarge, and more instances."
    if hf and instance.kind is Kind.GRAVITON:
        return "AWS's Hugging Face container is built for x86 only.", "Take ml.c7i, ml.m7i or ml.c6i, or our own image."
    if hf and instance.kind is Kind.BLACKWELL:
        return "PyTorch 2.6 with CUDA 12.4 does not run on Blackwell GPUs.", f"{gpus}, or our own image with CUDA 13."
    return None


def _disks(d: Deployment) -> Iterator[Problem]:
    if d.endpoint.volume_size_gb is not None and d.instance.has_local_disks:
        yield Problem(
            "endpoint.volume_size_gb",
            d.endpoint.volume_size_gb,
            f"{d.instance.value} comes with local disks; SageMaker takes no volume size for it.",
            "Leave it out.",
        )


def _scaling(d: Deployment) -> Iterator[Problem]:
    scaling, initial = d.scaling, d.endpoint.initial_instance_count
    if not scaling.enabled:
        return
    if scaling.min_instances < 1:
        yield Problem(
            "scaling.min_instances",
            scaling.min_instances,
            "A real-time endpoint keeps at least one instance.",
            "Write 1; scaling to nothing needs an asynchronous endpoint.",
        )
    if scaling.min_instances > scaling.max_instances:
        yield Problem(
            "scaling.min_instances",
            scaling.min_instances,
            f"It is more than scaling.max_instances, {scaling.max_instances}.",
            "Lower it, or raise scaling.max_instances.",
        )
    if not scaling.min_instances <= initial <= scaling.max_instances:
        yield Problem(
            "endpoint.initial_instance_count",
            initial,
            f"It lies outside scaling.min_instances..max_instances, {scaling.min_instances}..{scaling.max_instances}.",
            "Start within the range the fleet is scaled in.",
        )
    if d.instance.is_burstable:
        yield Problem(
            "endpoint.instance_type",
            d.instance.value,
            "Burstable instances cannot be scaled automatically.",
            "Take ml.c7i.large or larger, or write scaling.enabled = false.",
        )
    if scaling.metric == "invocations" and scaling.target is None:
        yield Problem(
            "scaling.target",
            scaling.target,
            "Calls per instance and minute depend on the model and the documents.",
            "Measure what one instance serves in a minute and write about half of it.",
        )


def _schedules(d: Deployment) -> Iterator[Problem]:
    zones = zoneinfo.available_timezones()
    names = [schedule.name for schedule in d.scaling.schedules]
    for position, schedule in enumerate(d.scaling.schedules):
        key = f"scaling.schedules[{position}]"
        if not 1 <= schedule.min_instances <= schedule.max_instances:
            yield Problem(
                f"{key}.min_instances",
                schedule.min_instances,
                f"It must lie within 1..{schedule.max_instances}, its max_instances.",
                "Nights keep at least one instance: a real-time endpoint cannot be empty.",
            )
        if zones and schedule.timezone not in zones:
            yield Problem(f"{key}.timezone", schedule.timezone, "No such time zone.", 'Write one as "Europe/Berlin".')
        if names.count(schedule.name) > 1:
            yield Problem(f"{key}.name", schedule.name, "Another schedule has it.", "Give each its own name.")
    if d.scaling.schedules and not d.scaling.enabled:
        yield Problem("scaling.enabled", False, "The schedules would do nothing.", "Write true, or remove them.")


RULES = (
    _instances,
    _disks,
    _scaling,
    _schedules,
)
