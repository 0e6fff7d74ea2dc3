"""Where moto's S3 is stricter than AWS's: conditions in bucket policies, and access logs.

moto enforces bucket policies but denies whatever has a condition it was told nothing about, so CDK's "deny unless TLS"
would deny every request to a bucket. It writes an access log at once for every request, so a bucket of logs is never
empty; S3 delivers them within hours, an AWS that lives for minutes never.
"""

import json
from typing import Any


def install() -> None:
    """Makes moto judge requests by the enforceable part of a bucket's policy (the stored one is whole); logs none."""
    from moto.s3.models import FakeBucket, S3Backend

    original = FakeBucket.get_permission

    def get_permission(self: Any, action: str, resource: str) -> Any:
        whole = self.policy
        if whole is None:
            return original(self, action, resource)
        judged = _Policy(enforceable(whole.decode()))
        return original(judged, action, resource)

    FakeBucket.get_permission = get_permission
    # S3 takes a log destination whose policy comes later (CDK makes it after both buckets); moto wants it first.
    FakeBucket._log_permissions_enabled_policy = staticmethod(lambda target_bucket, target_prefix: True)
    S3Backend.log_incoming_request = lambda self, request, bucket_name: None


def enforceable(policy: str) -> str:
    """The statements of a policy that can be judged here, without their conditions.

    A request to the local AWS counts as one over TLS (loopback never leaves the machine). Statements with any other
    condition, and denials of somebody in particular, depend on who asks and are left out: nobody is known here.
    """
    document = json.loads(policy)
    statements = document.get("Statement", [])
    statements = [statements] if isinstance(statements, dict) else statements
    kept = []
    for statement in statements:
        if _applies(statement.get("Condition", {})) and not _denies_somebody(statement):
            kept.append({key: value for key, value in statement.items() if key != "Condition"})
    return json.dumps({**document, "Statement": kept})


def _applies(condition: dict[str, Any]) -> bool:
    for operator, keys in condition.items():
        for key, expected in keys.items():
            if key.lower() != "aws:securetransport" or not operator.startswith("Bool"):
                return False
            if str(expected[0] if isinstance(expected, list) else expected).lower() != "true":
                return False
    return True


def _denies_somebody(statement: dict[str, Any]) -> bool:
    everybody = ("*", {"AWS": "*"}, {"AWS": ["*"]})
    return statement.get("Effect") == "Deny" and statement.get("Principal") not in everybody


class _Policy:
    """Just enough of a bucket for moto's check: the policy it reads."""

    def __init__(self, policy: str) -> None:
        self.policy = policy.encode()
