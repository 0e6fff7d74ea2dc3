"""What an instance type is, read from its name: architecture, GPUs, local disks. Pure.

Families are those of SageMaker's ProductionVariantInstanceType (service model of botocore 1.44).
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from rerank_infra import instance_list

_NAME = re.compile(r"ml\.(?P<family>[a-z0-9-]+)\.(?P<size>[a-z0-9]+)")
_NEW_CPU = re.compile(r"[cmrt]\d+(?P<graviton>g)?[a-z]*")
_X86 = "c4 c5 c5d c6i c6in c7i m4 m5 m5d m6i m7i r5 r5d r6i r7i t2"
_GRAVITON = "c6g c6gd c6gn c7g c8g m6g m6gd m8g r6g r6gd r7gd r8g"
_GPU = "g4dn g5 g6 g6e p4d p4de p5 p5e p5en"  # Turing to Hopper, sm_75..sm_90
_BLACKWELL = "g7 g7e p6-b200 p6-b300 p6e-gb200"  # sm_100 and up
_LOCAL_DISKS = {*_GPU.split(), *_BLACKWELL.split(), "c5d", "m5d", "r5d", "c6gd", "m6gd", "r6gd", "r7gd"}
_SEVERAL_GPUS = {"12xlarge", "24xlarge", "36xlarge", "48xlarge", "metal"}
_TRANSFORM = {name.split(".")[1] for name in instance_list.TRANSFORM}
_FAMILIES = {name.split(".")[1] for name in instance_list.ENDPOINT}


class Kind(StrEnum):
    """What a container image has to be built for."""

    CPU = "cpu"
    GRAVITON = "graviton"
    GPU = "gpu"
    BLACKWELL = "blackwell"
    UNSUPPORTED = "unsupported"


_KINDS = {
    family: kind
    for kind, families in {
        Kind.CPU: _X86,
        Kind.GRAVITON: _GRAVITON,
        Kind.GPU: _GPU,
        Kind.BLACKWELL: _BLACKWELL,
    }.items()
    for family in families.split()
}


@dataclass(frozen=True, slots=True)
class InstanceType:
    """An instance type such as `ml.g6.xlarge`."""

    value: str
    family: str
    size: str

    @classmethod
    def parse(cls, value: str) -> Self:
        """The parts of `value`.

        Raises:
            ValueError: it does not read `ml.<family>.<size>`.
        """
        match = _NAME.fullmatch(value)
        if match is None:
            raise ValueError(f"{value!r} does not read ml.<family>.<size>, as ml.g6.xlarge does")
        return cls(value, match["family"], match["size"])

    @property
    def kind(self) -> Kind:
        """Architecture; UNSUPPORTED for families the engine has no code for (Inferentia, Trainium, Gaudi, p2, p3).

        A family that is newer than the list is a CPU if its name follows AWS's rule for CPUs: c, m, r or t, the
        generation, then g for Graviton. Which driver and CUDA a new GPU needs is not in its name: UNSUPPORTED.
        """
        if self.family not in _FAMILIES and (cpu := _NEW_CPU.fullmatch(self.family)):
            return Kind.GRAVITON if cpu["graviton"] else Kind.CPU
        return _KINDS.get(self.family, Kind.UNSUPPORTED)

    @property
    def is_listed(self) -> bool:
        """Whether SageMaker's service model, as the kit knows it, has this name for endpoints."""
        return self.value in instance_list.ENDPOINT

    @property
    def has_gpu(self) -> bool:
        """Whether there is an NVIDIA GPU the engine can use."""
        return self.kind in (Kind.GPU, Kind.BLACKWELL)

    @property
    def has_several_gpus(self) -> bool:
        """Whether there is more than one: the engine runs on the first only."""
        return self.has_gpu and (self.size in _SEVERAL_GPUS)

    @property
    def has_local_disks(self) -> bool:
        """Whether it comes with NVMe disks: a volume size cannot be asked for, and a CMK does not reach them."""
        return self.family in _LOCAL_DISKS

    @property
    def is_burstable(self) -> bool:
        """The t family: cannot be scaled automatically."""
        return self.family.startswith("t")

    @property
    def can_transform(self) -> bool:
        """Whether batch transform offers it; of a type that is newer than the list, whether it offers the family."""
        if self.is_listed:
            return self.value in instance_list.TRANSFORM
        return self.family in _TRANSFORM or self.family not in _FAMILIES

    @property
    def inference_ami_version(self) -> str | None:
        """Host image whose driver fits the container's CUDA; None on CPUs.

        550 / CUDA 12.4 for AWS's cu124 image, 580 / CUDA 13.0 where the GPU itself asks for it.
        """
        if self.kind is Kind.GPU:
            return "al2-ami-sagemaker-inference-gpu-3-1"
        return "al2023-ami-sagemaker-inference-gpu-4-1" if self.kind is Kind.BLACKWELL else None
