"""What a caller needs, as a managed policy to attach."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct


class InvokePolicy(Construct):
    """Permission to invoke this one endpoint."""

    def __init__(self, scope: Construct, construct_id: str, *, endpoint_name: str) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)
        # IAM compares with the lower-cased name, whatever case the endpoint was created with.
        endpoint = f"endpoint/{endpoint_name.lower()}"
        arn = f"arn:{stack.partition}:sagemaker:{stack.region}:{stack.account}:{endpoint}"
        self.policy = iam.ManagedPolicy(
            self,
            "Policy",
            description=f"Call the reranker {endpoint_name}",
            statements=[iam.PolicyStatement(sid="Invoke", actions=["sagemaker:InvokeEndpoint"], resources=[arn])],
        )
