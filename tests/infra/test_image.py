"""Which container image is chosen."""

import pytest

from rerank_infra.errors import ImageError
from rerank_infra.image import CPU_TAG, GPU_TAG, REGISTRIES, resolve
from rerank_infra.instances import InstanceType

GPU, CPU = InstanceType.parse("ml.g6.xlarge"), InstanceType.parse("ml.c7i.xlarge")


def test_gpu_instances_get_the_cuda_image() -> None:
    """A GPU family runs AWS's CUDA 12.4 build."""
    image = resolve("hf", region="us-east-1", instance=GPU)

    assert f"763104351884.dkr.ecr.us-east-1.amazonaws.com/huggingface-pytorch-inference:{GPU_TAG}" == image.uri
    assert "arn:aws:ecr:us-east-1:763104351884:repository/huggingface-pytorch-inference" == image.repository_arn


def test_cpu_instances_get_the_cpu_image() -> None:
    """A CPU family runs AWS's CPU build."""
    assert resolve("hf", region="eu-central-1", instance=CPU).uri.endswith(f":{CPU_TAG}")


@pytest.mark.parametrize(
    ("region", "domain", "partition"),
    [
        ("cn-north-1", "amazonaws.com.cn", "aws-cn"),
        ("us-gov-west-1", "amazonaws.com", "aws-us-gov"),
        ("us-iso-east-1", "c2s.ic.gov", "aws-iso"),
        ("us-isob-east-1", "sc2s.sgov.gov", "aws-iso-b"),
    ],
)
def test_other_partitions_have_their_own_domain(region: str, domain: str, partition: str) -> None:
    """Registries outside the commercial regions answer under another domain, and their ARNs name the partition."""
    image = resolve("hf", region=region, instance=CPU)

    assert f".dkr.ecr.{region}.{domain}/" in image.uri
    assert image.repository_arn.startswith(f"arn:{partition}:ecr:{region}:")


def test_a_region_without_a_registry_is_named() -> None:
    """An unknown region is an error that names it and the way out."""
    with pytest.raises(ImageError, match="mars-north-1") as caught:
        resolve("hf", region="mars-north-1", instance=GPU)

    assert "packaging/container" in caught.value.tip


@pytest.mark.parametrize("suffix", [":1.4.2", "@sha256:" + "a" * 64])
def test_our_own_image_is_taken_as_it_is(suffix: str) -> None:
    """An ECR URI is used verbatim, and the role may pull that repository."""
    uri = f"111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/reranker{suffix}"
    image = resolve(uri, region="eu-west-1", instance=GPU)

    assert uri == image.uri
    assert "arn:aws:ecr:eu-west-1:111122223333:repository/team/reranker" == image.repository_arn


def test_an_image_in_another_region_is_refused() -> None:
    """SageMaker pulls from the endpoint's own region only."""
    with pytest.raises(ImageError, match="own region, us-east-1"):
        resolve("111122223333.dkr.ecr.eu-west-1.amazonaws.com/reranker:1", region="us-east-1", instance=GPU)


def test_images_are_those_of_the_sagemaker_sdk() -> None:
    """The table of registries and tags says what `sagemaker.core.image_uris` says, region by region."""
    image_uris = pytest.importorskip("sagemaker.core.image_uris", reason="the sagemaker SDK (extra) is not installed")

    def published(region: str, instance: InstanceType) -> str:
        # Full versions: the SDK's short aliases make tags that are not published.
        return str(
            image_uris.retrieve(
                framework="huggingface",
                region=region,
                version="5.5.3",
                base_framework_version="pytorch2.6.0",
                py_version="py312",
                instance_type=instance.value,
                image_scope="inference",
            )
        )

    wanted = [(region, instance) for region in REGISTRIES for instance in (GPU, CPU)]
    expected = [published(region, instance) for region, instance in wanted]

    assert expected == [resolve("hf", region=region, instance=instance).uri for region, instance in wanted]
