"""What other programs look up, as SSM parameters: /rerank/<deployment>/<name>."""

from collections.abc import Mapping

from aws_cdk import aws_ssm as ssm
from constructs import Construct


class Parameters(Construct):
    """String parameters under the deployment's path."""

    def __init__(self, scope: Construct, construct_id: str, *, deployment_name: str, values: Mapping[str, str]) -> None:
        super().__init__(scope, construct_id)
        for name, value in values.items():
            ssm.StringParameter(
                self,
                "".join(part.title() for part in name.split("-")),
                parameter_name=f"/rerank/{deployment_name}/{name}",
                string_value=value,
            )
