"""The container image: AWS's Hugging Face inference container by region and processor, or our own. Pure.

Registries are AWS's published table for huggingface-pytorch-inference (also in `sagemaker.core.image_uris`, against
which a test compares this one). The newest release of that container is torch 2.6.0 with transformers 5.5.3.
"""

import re
from dataclasses import dataclass

from rerank_infra.errors import ImageError
from rerank_infra.instances import InstanceType

REPOSITORY = "huggingface-pytorch-inference"
TRAINING_REPOSITORY = "pytorch-training"  # published in the same registries
CPU_TAG = "2.6.0-transformers5.5.3-cpu-py312-ubuntu22.04"
GPU_TAG = "2.6.0-transformers5.5.3-gpu-py312-cu124-ubuntu22.04"

_ELSEWHERE = (
    "us-east-1 us-east-2 us-west-1 us-west-2 ca-central-1 sa-east-1 "
    "eu-central-1 eu-north-1 eu-west-1 eu-west-2 eu-west-3 "
    "ap-northeast-1 ap-northeast-2 ap-south-1 ap-southeast-1 ap-southeast-2"
)
REGISTRIES = dict.fromkeys(_ELSEWHERE.split(), "763104351884") | {
    "af-south-1": "626614931356",
    "ap-east-1": "871362719292",
    "ap-northeast-3": "364406365360",
    "ap-south-2": "772153158452",
    "ap-southeast-3": "907027046896",
    "ap-southeast-4": "457447274322",
    "ca-west-1": "204538143572",
    "cn-north-1": "727897471807",
    "cn-northwest-1": "727897471807",
    "eu-central-2": "380420809688",
    "eu-south-1": "692866216735",
    "eu-south-2": "503227376785",
    "il-central-1": "780543022126",
    "me-central-1": "914824155844",
    "me-south-1": "217643126080",
    "us-gov-east-1": "446045086412",
    "us-gov-west-1": "442386744353",
    "us-iso-east-1": "886529160074",
    "us-isob-east-1": "094389454867",
}
# region prefix → (partition, domain); the first that fits
_PARTITIONS = {
    "cn-": ("aws-cn", "amazonaws.com.cn"),
    "us-gov-": ("aws-us-gov", "amazonaws.com"),
    "us-isob-": ("aws-iso-b", "sc2s.sgov.gov"),
    "us-iso-": ("aws-iso", "c2s.ic.gov"),
    "": ("aws", "amazonaws.com"),
}
_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.[a-z0-9.]+/"
    r"(?P<repository>[a-z0-9]+(?:[._/-][a-z0-9]+)*)(?::[A-Za-z0-9_][A-Za-z0-9._-]*|@sha256:[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class ContainerImage:
    """An image SageMaker can pull, and the ARN of its repository for the role that pulls it."""

    uri: str
    repository_arn: str


def aws_repository(name: str, *, region: str) -> tuple[str, str]:
    """URI (without a tag) and ARN of one of AWS's own container repositories.

    Raises:
        ImageError: AWS's registry in that region is not known.
    """
    if region not in REGISTRIES:
        raise ImageError(
            f"region has value {region!r}. No registry of AWS's containers is known there.",
            tip="Build packaging/container, push it to ECR and write its URI as container.image.",
        )
    partition, domain = _partition(region)
    account = REGISTRIES[region]
    return f"{account}.dkr.ecr.{region}.{domain}/{name}", f"arn:{partition}:ecr:{region}:{account}:repository/{name}"


def _partition(region: str) -> tuple[str, str]:
    return next(found for prefix, found in _PARTITIONS.items() if region.startswith(prefix))


def resolve(image: str, *, region: str, instance: InstanceType) -> ContainerImage:
    """The image for `instance` in `region`; `image` is "hf" or an ECR URI with a tag or digest.

    Raises:
        ImageError: AWS publishes no such image in the region, or the URI is not one SageMaker could pull there.
    """
    partition, domain = _partition(region)
    if image == "hf":
        repository, _ = aws_repository(REPOSITORY, region=region)
        uri = f"{repository}:{GPU_TAG if instance.has_gpu else CPU_TAG}"
    else:
        uri = image
    match = _ECR.fullmatch(uri)
    if match is None or match["region"] != region:
        raise ImageError(
            f"container.image has value {image!r}. SageMaker pulls from ECR in the endpoint's own region, {region}.",
            tip=f"Write <account>.dkr.ecr.{region}.{domain}/<repository>:<tag>.",
        )
    arn = f"arn:{partition}:ecr:{region}:{match['account']}:repository/{match['repository']}"
    return ContainerImage(uri, arn)
