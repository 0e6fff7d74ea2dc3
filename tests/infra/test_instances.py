"""What is read from an instance type's name."""

import pytest

from rerank_infra.instances import InstanceType, Kind


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("ml.c7i.xlarge", Kind.CPU),
        ("ml.t2.medium", Kind.CPU),
        ("ml.c7g.xlarge", Kind.GRAVITON),
        ("ml.r7gd.large", Kind.GRAVITON),
        ("ml.g4dn.xlarge", Kind.GPU),
        ("ml.g6e.2xlarge", Kind.GPU),
        ("ml.p5en.48xlarge", Kind.GPU),
        ("ml.g7e.2xlarge", Kind.BLACKWELL),
        ("ml.p6-b200.48xlarge", Kind.BLACKWELL),
        ("ml.inf2.xlarge", Kind.UNSUPPORTED),
        ("ml.p3.2xlarge", Kind.UNSUPPORTED),
    ],
)
def test_architecture_is_read_from_the_family(value: str, kind: Kind) -> None:
    """Each family is built for one kind of processor."""
    assert kind is InstanceType.parse(value).kind


def test_every_family_sagemaker_offers_is_known() -> None:
    """No family of botocore's service model is put down as unsupported by oversight."""
    import botocore.session

    model = botocore.session.get_session().get_service_model("sagemaker")
    values = model.shape_for("ProductionVariantInstanceType").enum
    unsupported = {t.family for t in map(InstanceType.parse, values) if t.kind is Kind.UNSUPPORTED}

    assert {"dl1", "inf1", "inf2", "p2", "p3", "trn1", "trn1n", "trn2"} == unsupported


def test_batch_transform_families_are_sagemakers_own() -> None:
    """The families batch transform takes are those of its own enumeration that the engine runs on."""
    import botocore.session

    model = botocore.session.get_session().get_service_model("sagemaker")
    offered = map(InstanceType.parse, model.shape_for("TransformInstanceType").enum)
    families = {t.family for t in offered if t.kind is not Kind.UNSUPPORTED}

    assert families == {t.family for f in families for t in [InstanceType.parse(f"ml.{f}.xlarge")] if t.can_transform}
    assert not InstanceType.parse("ml.p5.4xlarge").can_transform


@pytest.mark.parametrize(
    ("value", "ami"),
    [
        ("ml.c7i.xlarge", None),
        ("ml.g6.xlarge", "al2-ami-sagemaker-inference-gpu-3-1"),
        ("ml.g7e.2xlarge", "al2023-ami-sagemaker-inference-gpu-4-1"),
    ],
)
def test_host_image_follows_the_gpu(value: str, ami: str | None) -> None:
    """A GPU gets a host image whose driver fits the container's CUDA; a CPU none."""
    assert ami == InstanceType.parse(value).inference_ami_version


@pytest.mark.parametrize("value", ["g6.xlarge", "ml.g6", "ml.g6.xlarge.big", "", "ml..xlarge"])
def test_a_malformed_name_is_refused(value: str) -> None:
    """Only ml.<family>.<size> is an instance type."""
    with pytest.raises(ValueError, match=r"does not read ml\.<family>\.<size>"):
        InstanceType.parse(value)
