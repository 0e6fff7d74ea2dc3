"""What CloudFormation's own schemas say, and the names it makes up."""

import pytest

from rerank_local.control.errors import TemplateError
from rerank_local.control.handlers import supported
from rerank_local.control.naming import physical_name
from rerank_local.control.schema import schema


def test_every_supported_type_is_one_of_cloudformation() -> None:
    """Handlers are registered under names that AWS knows (CDK's own custom resource apart)."""
    unknown = [name for name in supported() if schema(name) is None and not name.startswith("Custom::")]

    assert [] == unknown


@pytest.mark.parametrize("kind", ["AWS::S3::Bucket", "AWS::SageMaker::Model", "AWS::IAM::Role", "AWS::SNS::Topic"])
def test_made_up_names_fit_their_service(kind: str) -> None:
    """However long stack and logical ids are, the name is within the limit, and differs each time."""
    names = {physical_name(kind, "S" * 128, "L" * 200) for _ in range(3)}

    assert 3 == len(names)
    assert all(len(name) <= (63 if "S3" in kind or "SageMaker" in kind else 256) for name in names)
    assert all(name == name.lower() for name in names) == (kind == "AWS::S3::Bucket")


def test_scalars_take_the_schemas_types() -> None:
    """Text from parameters becomes numbers and booleans where the schema wants them."""
    known = schema("AWS::SageMaker::EndpointConfig")
    assert known is not None
    variant = {"VariantName": "main", "InitialInstanceCount": "2", "InitialVariantWeight": "0.5", "ModelName": "a"}
    found = known.checked("C", {"ProductionVariants": [variant], "EnableNetworkIsolation": "true"})

    assert (2, 0.5) == (
        found["ProductionVariants"][0]["InitialInstanceCount"],
        found["ProductionVariants"][0]["InitialVariantWeight"],
    )
    assert found["EnableNetworkIsolation"] is True
    assert known.replaces("KmsKeyId")
    assert not known.replaces("Tags")


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"ProductionVariants": [{"ModelName": "a"}]}, "Property ProductionVariants/0/VariantName is required"),
        ({"ProductionVariants": [{"VariantName": "a", "Nope": 1}]}, "unsupported property ProductionVariants/0/Nope"),
        ({}, "/ProductionVariants is required in resource C"),
    ],
)
def test_properties_are_checked_to_any_depth(properties: dict[str, object], message: str) -> None:
    """What is unknown or missing is named with its path."""
    known = schema("AWS::SageMaker::EndpointConfig")
    assert known is not None
    with pytest.raises(TemplateError, match=message):
        known.checked("C", properties)


def test_an_unknown_type_has_no_schema() -> None:
    """Custom and misspelt types are not CloudFormation's."""

    assert schema("AWS::SageMaker::Endpiont") is None
