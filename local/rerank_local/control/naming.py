"""Physical names that CloudFormation makes up, within each service's limit. Pure but for the random suffix."""

import secrets
import string

_ALPHABET = string.ascii_uppercase + string.digits
_SUFFIX = 12

# Longest name a service accepts; the rest are far above what stack and logical ids reach.
_LIMITS = {
    "AWS::S3::Bucket": 63,
    "AWS::IAM::Role": 64,
    "AWS::SageMaker::Endpoint": 63,
    "AWS::SageMaker::EndpointConfig": 63,
    "AWS::SageMaker::Model": 63,
    "AWS::SQS::Queue": 80,
    "AWS::Lambda::Function": 64,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": 32,
    "AWS::ElasticLoadBalancingV2::TargetGroup": 32,
}
# SageMaker's are named without the stack, as AWS does.
_WITHOUT_STACK = frozenset({"AWS::SageMaker::Endpoint", "AWS::SageMaker::EndpointConfig", "AWS::SageMaker::Model"})
_LOWER_CASE = frozenset({"AWS::S3::Bucket", "AWS::ECR::Repository"})


def physical_name(resource_type: str, stack: str, logical_id: str) -> str:
    """A fresh name: stack, logical id and a random suffix, each cut so that the whole fits."""
    suffix = "".join(secrets.choice(_ALPHABET) for _ in range(_SUFFIX))
    room = _LIMITS.get(resource_type, 255) - _SUFFIX - 1
    if resource_type in _WITHOUT_STACK:
        name = f"{logical_id[:room]}-{suffix}"
    else:
        prefix = stack[: max(room - len(logical_id) - 1, room // 2)]
        name = f"{prefix}-{logical_id[: room - len(prefix) - 1]}-{suffix}"
    return name.lower() if resource_type in _LOWER_CASE else name
