"""SageMaker's API with and without processes behind it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rerank_local.control import sagemaker_api, variants
from rerank_local.control.constraints import validate
from rerank_local.data.errors import ContainerFailed

ROLE = "arn:aws:iam::123456789012:role/reranker"
VARIANT = {"VariantName": "main", "ModelName": "a", "InstanceType": "ml.g6.xlarge", "InitialInstanceCount": 2}


class Fleet:
    """Remembers what it was asked to do; models whose archive says so do not start."""

    def __init__(self) -> None:
        self.started: list[tuple[str, list[Any]]] = []
        self.stopped: list[str] = []
        self.weights: dict[str, Mapping[str, float]] = {}

    def start(self, endpoint_name: str, variants: Sequence[Any], startup_timeout_s: float = 0) -> None:
        if any("broken" in item.model_data_url for item in variants):
            raise ContainerFailed("did not pass the ping health check: Traceback …")
        self.started.append((endpoint_name, list(variants)))

    def stop(self, name: str) -> None:
        self.stopped.append(name)

    def set_weights(self, name: str, weights: Mapping[str, float]) -> None:
        self.weights[name] = weights


@pytest.fixture
def fleet(cloud: Any) -> Iterator[Fleet]:
    double = Fleet()
    sagemaker_api.attach(double, None)
    yield double
    sagemaker_api.attach(None, None)


@pytest.fixture
def sagemaker(cloud: Any) -> Any:
    """A client, with a model `a` and a config `config`."""
    client = cloud.client("sagemaker")
    model(client, "a", EnableNetworkIsolation=True)
    config(client, "config")
    return client


def model(client: Any, name: str, url: str = "s3://bucket/a.tar.gz", **extra: Any) -> None:
    container = {"Image": "image:1", "ModelDataUrl": url, "Environment": {"RERANK_TOKEN_BUDGET": "4096"}}
    client.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container, **extra)


def config(client: Any, name: str, *variants: Any, **extra: Any) -> None:
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=list(variants) or [VARIANT], **extra)


def test_what_moto_drops_is_described(sagemaker: Any) -> None:
    """Network isolation, metrics, routing, pools and the rest come back as they were asked for."""
    pooled = {**VARIANT, "InstancePools": [{"InstanceType": "ml.g6.xlarge", "Priority": 1}]}
    del pooled["InstanceType"]
    metrics = {"EnableEnhancedMetrics": True, "MetricPublishFrequencyInSeconds": 60}
    config(sagemaker, "full", pooled, MetricsConfig=metrics, KmsKeyId="key", EnableNetworkIsolation=True)

    described = sagemaker.describe_endpoint_config(EndpointConfigName="full")

    assert sagemaker.describe_model(ModelName="a")["EnableNetworkIsolation"] is True
    assert metrics == described["MetricsConfig"]
    assert [pooled] == described["ProductionVariants"]
    assert described["EnableNetworkIsolation"] is True


@pytest.mark.parametrize("instance_type", ["ml.g5.xlarge", "ml.g6e.xlarge", "ml.c7i.xlarge", "ml.m5.xlarge"])
def test_current_instance_types_are_taken(sagemaker: Any, instance_type: str) -> None:
    """Whatever the installed botocore knows is an instance type."""
    config(sagemaker, "new", {**VARIANT, "InstanceType": instance_type})

    described = sagemaker.describe_endpoint_config(EndpointConfigName="new")
    assert instance_type == described["ProductionVariants"][0]["InstanceType"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"InstanceType": "ml.g99.xlarge"}, r"'ml.g99.xlarge' at 'productionVariants.1.member.instanceType'"),
        ({"ContainerStartupHealthCheckTimeoutInSeconds": 3601}, "less than or equal to 3600"),
        ({"VariantName": "has space"}, "regular expression pattern"),
    ],
)
def test_a_value_outside_the_service_model_is_refused(sagemaker: Any, change: dict[str, Any], message: str) -> None:
    """Enumerations, ranges and patterns are those of the service."""
    with pytest.raises(ClientError, match=message) as caught:
        sagemaker.create_endpoint_config(EndpointConfigName="bad", ProductionVariants=[{**VARIANT, **change}])

    assert "ValidationException" == caught.value.response["Error"]["Code"]


def test_names_are_taken_once_and_must_exist(sagemaker: Any) -> None:
    """Duplicates and references to nothing are refused as AWS does."""
    with pytest.raises(ClientError, match="Cannot create already existing model"):
        model(sagemaker, "a")
    with pytest.raises(ClientError, match="Cannot create already existing endpoint configuration"):
        config(sagemaker, "config")
    with pytest.raises(ClientError, match="Could not find model"):
        config(sagemaker, "other", {**VARIANT, "ModelName": "nobody"})
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="nobody")
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="config")
    with pytest.raises(ClientError, match="Cannot create already existing endpoint"):
        sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="config")


def test_an_endpoint_starts_its_containers(sagemaker: Any, fleet: Fleet) -> None:
    """The fleet gets archive, environment and timeout of every variant; the endpoint is InService with its counts."""
    timed = {**VARIANT, "ContainerStartupHealthCheckTimeoutInSeconds": 300}
    config(sagemaker, "timed", timed)
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="timed")

    ((name, (spec,)),) = fleet.started
    described = sagemaker.describe_endpoint(EndpointName="e")
    assert ("e", "main", "s3://bucket/a.tar.gz", 300.0) == (
        name,
        spec.name,
        spec.model_data_url,
        spec.startup_timeout_s,
    )
    assert {"RERANK_TOKEN_BUDGET": "4096"} == spec.environment
    assert ("InService", 2) == (
        described["EndpointStatus"],
        described["ProductionVariants"][0]["CurrentInstanceCount"],
    )


def test_a_container_that_does_not_start_fails_the_endpoint(sagemaker: Any, fleet: Fleet) -> None:
    """Failed, with the end of the log as the reason."""
    model(sagemaker, "broken", "s3://bucket/broken.tar.gz")
    config(sagemaker, "bad", {**VARIANT, "ModelName": "broken"})
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="bad")

    described = sagemaker.describe_endpoint(EndpointName="e")
    assert "Failed" == described["EndpointStatus"]
    assert "Traceback" in described["FailureReason"]
    with pytest.raises(ClientError, match="in status Failed"):
        sagemaker.update_endpoint(EndpointName="e", EndpointConfigName="config")


def test_a_failed_update_keeps_the_old_configuration(sagemaker: Any, fleet: Fleet) -> None:
    """InService on the old config, the reason beside it; the next update clears it."""
    model(sagemaker, "broken", "s3://bucket/broken.tar.gz")
    config(sagemaker, "bad", {**VARIANT, "ModelName": "broken"})
    config(sagemaker, "good")
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="config")
    sagemaker.update_endpoint(EndpointName="e", EndpointConfigName="bad")
    failed = sagemaker.describe_endpoint(EndpointName="e")
    sagemaker.update_endpoint(EndpointName="e", EndpointConfigName="good")
    mended = sagemaker.describe_endpoint(EndpointName="e")

    assert ("InService", "config") == (failed["EndpointStatus"], failed["EndpointConfigName"])
    assert "ping health check" in failed["FailureReason"]
    assert ("InService", "good") == (mended["EndpointStatus"], mended["EndpointConfigName"])
    assert "FailureReason" not in mended


def test_a_stack_tells_the_log_and_keeps_the_old_model(cloud: Any, fleet: Fleet) -> None:
    """Through CloudFormation too: the update rolls back, the endpoint keeps its config, the reason holds the log."""
    sagemaker = cloud.client("sagemaker")
    cloud.deploy(_stack("s3://bucket/a.tar.gz"))
    before = sagemaker.describe_endpoint(EndpointName="e")["EndpointConfigName"]

    stack = cloud.deploy(_stack("s3://bucket/broken.tar.gz"))

    assert "UPDATE_ROLLBACK_COMPLETE" == stack["StackStatus"]
    assert "Traceback" in stack["StackStatusReason"]
    assert before == sagemaker.describe_endpoint(EndpointName="e")["EndpointConfigName"]
    assert 1 == len(fleet.started)


def test_a_first_deployment_that_does_not_start_leaves_no_endpoint(cloud: Any, fleet: Fleet) -> None:
    """The failed endpoint is deleted again, and can be made anew."""
    failed = cloud.deploy(_stack("s3://bucket/broken.tar.gz"))
    cloud.client("cloudformation").delete_stack(StackName="stack")
    mended = cloud.deploy(_stack("s3://bucket/a.tar.gz"))

    assert "ROLLBACK_COMPLETE" == failed["StackStatus"]
    assert "Traceback" in failed["StackStatusReason"]
    assert "CREATE_COMPLETE" == mended["StackStatus"]


def test_an_update_through_a_stack_retains_what_was_scaled(cloud: Any, fleet: Fleet) -> None:
    """RetainAllVariantProperties keeps the instance count that scaling set; the fleet keeps the weights."""
    sagemaker = cloud.client("sagemaker")
    cloud.deploy(_stack("s3://bucket/a.tar.gz"))
    resized = [{"VariantName": "main", "DesiredInstanceCount": 5, "DesiredWeight": 0.5}]
    sagemaker.update_endpoint_weights_and_capacities(EndpointName="e", DesiredWeightsAndCapacities=resized)
    cloud.deploy(_stack("s3://bucket/b.tar.gz"))

    (variant,) = sagemaker.describe_endpoint(EndpointName="e")["ProductionVariants"]
    assert (5, 0.5) == (variant["DesiredInstanceCount"], variant["CurrentWeight"])
    assert {"main": 0.5} == fleet.weights["e"]


def test_deleting_stops_the_containers(sagemaker: Any, fleet: Fleet) -> None:
    """The processes go with the endpoint; deleting again finds nothing."""
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="config")
    sagemaker.delete_endpoint(EndpointName="e")

    assert ["e"] == fleet.stopped
    with pytest.raises(ClientError, match="Could not find endpoint"):
        sagemaker.delete_endpoint(EndpointName="e")


def test_resizing_changes_only_what_it_names() -> None:
    """A weight alone leaves the count, a count alone the weight."""
    (started,) = variants.started([VARIANT], {})
    (heavier,) = variants.resized([started], [{"VariantName": "main", "DesiredWeight": 3.0}])
    (more,) = variants.resized([heavier], [{"VariantName": "main", "DesiredInstanceCount": 7}])

    assert (3.0, 2) == (heavier["CurrentWeight"], heavier["CurrentInstanceCount"])
    assert (3.0, 7) == (more["CurrentWeight"], more["CurrentInstanceCount"])


def test_an_excluded_property_comes_from_the_new_config() -> None:
    """ExcludeRetainedVariantProperties forces a resize while weights stay."""
    old = [{"VariantName": "main", "CurrentInstanceCount": 9, "DesiredInstanceCount": 9, "CurrentWeight": 2.0}]
    (kept,) = variants.retained(variants.started([VARIANT], {}), old, ["DesiredInstanceCount"])

    assert (2, 2.0) == (kept["CurrentInstanceCount"], kept["CurrentWeight"])


def test_a_fine_request_has_no_violations(sagemaker: Any) -> None:
    """Checks do not invent problems."""
    shape = sagemaker.meta.service_model.operation_model("CreateEndpointConfig").input_shape

    assert validate(shape, {"EndpointConfigName": "a", "ProductionVariants": [VARIANT]}) is None


def _stack(url: str) -> dict[str, Any]:
    variant = {**VARIANT, "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]}}
    container = {"Image": "image:1", "ModelDataUrl": url}
    endpoint = {
        "EndpointName": "e",
        "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
        "RetainAllVariantProperties": True,
    }
    return {
        "Resources": {
            "Model": {
                "Type": "AWS::SageMaker::Model",
                "Properties": {"ExecutionRoleArn": ROLE, "PrimaryContainer": container},
            },
            "Config": {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": [variant]}},
            "Endpoint": {"Type": "AWS::SageMaker::Endpoint", "Properties": endpoint},
        }
    }
