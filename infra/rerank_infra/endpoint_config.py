"""The endpoint's configuration: one variant, pinned host image, routing, metrics."""

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from rerank_infra.data_capture import capture_config
from rerank_infra.deployment import Deployment
from rerank_infra.model import RerankModel

# Deployment guardrails compare variants by name: an update that renames one skips them.
VARIANT = "main"
_UNLISTED_TYPE = "CloudFormation-Validate::W3030"  # else a warning that lists every type there is


class EndpointConfig(Construct):
    """Replaced whenever anything in it changes; never named, for the reason models are not.

    Attributes:
        name: the one CloudFormation gives it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        deployment: Deployment,
        model: RerankModel,
        key_arn: str,
        bucket: s3.IBucket,
    ) -> None:
        super().__init__(scope, construct_id)
        metrics = deployment.metrics
        config = sagemaker.CfnEndpointConfig(
            self,
            "Config",
            production_variants=[_variant(deployment, model)],
            kms_key_id=key_arn,
            metrics_config=sagemaker.CfnEndpointConfig.MetricsConfigProperty(
                enable_enhanced_metrics=metrics.enhanced,
                # Said either way: left out, SageMaker decides by the date the configuration was created.
                enable_detailed_observability=metrics.scrape_container,
                metric_publish_frequency_in_seconds=metrics.publish_every_seconds,
            ),
            data_capture_config=capture_config(deployment.data_capture, bucket=bucket, key_arn=key_arn),
        )
        if deployment.endpoint.allow_unlisted_instance_type:
            reason = "The deployment says that its instance type is newer than the lists of the kit and of the CDK."
            cdk.Validations.of(config).acknowledge(cdk.Acknowledgment(id=_UNLISTED_TYPE, reason=reason))
        self.name: str = config.attr_endpoint_config_name


def _variant(deployment: Deployment, model: RerankModel) -> sagemaker.CfnEndpointConfig.ProductionVariantProperty:
    endpoint = deployment.endpoint
    ami = endpoint.inference_ami_version
    return sagemaker.CfnEndpointConfig.ProductionVariantProperty(
        variant_name=VARIANT,
        model_name=model.name,
        instance_type=endpoint.instance_type,
        initial_instance_count=endpoint.initial_instance_count,
        initial_variant_weight=1.0,
        container_startup_health_check_timeout_in_seconds=endpoint.startup_timeout_seconds,
        model_data_download_timeout_in_seconds=endpoint.download_timeout_seconds,
        # Without a pin a GPU may come with a driver older than the container's CUDA.
        inference_ami_version=deployment.instance.inference_ami_version if ami == "auto" else ami,
        # Requests differ in length by orders of magnitude: the least busy instance, not a random one.
        routing_config=sagemaker.CfnEndpointConfig.RoutingConfigProperty(routing_strategy="LEAST_OUTSTANDING_REQUESTS"),
        volume_size_in_gb=endpoint.volume_size_gb,
    )
