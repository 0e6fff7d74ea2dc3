"""A SageMaker model: image, bundle, environment, role."""

from collections.abc import Mapping

from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from rerank_infra.bundle_asset import BundleAsset
from rerank_infra.deployment import Network
from rerank_infra.execution_role import ExecutionRole
from rerank_infra.image import ContainerImage


class RerankModel(Construct):
    """A model without a name of its own: any change replaces it, and a fixed name would be taken already.

    Attributes:
        name: the one CloudFormation gives it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        role: ExecutionRole,
        image: ContainerImage,
        bundle: BundleAsset,
        environment: Mapping[str, str],
        network: Network,
    ) -> None:
        super().__init__(scope, construct_id)
        vpc = sagemaker.CfnModel.VpcConfigProperty(
            subnets=list(network.subnets), security_group_ids=list(network.security_groups)
        )
        model = sagemaker.CfnModel(
            self,
            "Model",
            execution_role_arn=role.role.role_arn,
            enable_network_isolation=network.isolation,
            vpc_config=vpc if network.subnets else None,
            primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
                image=image.uri, model_data_url=bundle.url, environment=dict(environment)
            ),
        )
        # The model refers to the role, not to its policies: without this it may be created before the role may read it.
        model.node.add_dependency(*role.policies)
        self.name: str = model.attr_model_name
