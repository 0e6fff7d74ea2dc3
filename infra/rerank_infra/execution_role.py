"""The role SageMaker takes on to fetch the image and the model, and to write logs."""

import hashlib
from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from rerank_infra import nag, statements
from rerank_infra.bundle_asset import BundleAsset
from rerank_infra.deployment import Deployment
from rerank_infra.image import ContainerImage


class ExecutionRole(Construct):
    """A role that may read one bundle and pull one image.

    What the role may read is a policy of its own, named after the artefacts: an update creates the new one beside the
    old one and removes the old one last, so that a rollback can still bring up instances with the old model.

    Attributes:
        role: the role itself.
        policies: what has to be in place before anything is created with the role.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        purpose: str,
        deployment: Deployment,
        bundle: BundleAsset,
        image: ContainerImage,
        log_group_arn: str,
        metric_namespaces: Sequence[str],
        extra: Sequence[iam.PolicyStatement] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        account = cdk.Stack.of(self).account
        self.role = iam.Role(
            self,
            "Role",
            description=f"SageMaker runs {purpose} of the reranker {deployment.name} with it",
            assumed_by=iam.ServicePrincipal(
                "sagemaker.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": account}}
            ),
        )
        policy = [
            statements.log_in_to_ecr(),
            statements.write_logs(log_group_arn),
            statements.put_metrics(*metric_namespaces),
            *extra,
        ]
        if deployment.network.subnets:
            policy.append(statements.attach_to_vpc())
        general = iam.Policy(self, "Policy", statements=policy, roles=[self.role])
        nag.accept_wildcard(
            self, "*", "ECR's login, metrics (held by namespace) and network interfaces to come have no ARN to name."
        )
        nag.accept_wildcard(
            self, f"{log_group_arn}:log-stream:*", "Log streams are named after instances that do not exist yet."
        )
        artefacts = [statements.read_object(bundle.object_arn), statements.pull_image(image.repository_arn)]
        if deployment.bundle.kms_key_arn is not None:
            artefacts.append(statements.decrypt(deployment.bundle.kms_key_arn))
        fingerprint = hashlib.sha256(f"{bundle.sha256} {image.repository_arn}".encode()).hexdigest()[:12]
        specific = iam.Policy(self, f"Artefacts{fingerprint}", statements=artefacts, roles=[self.role])
        self.policies = (general, specific)
