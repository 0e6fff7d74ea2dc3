"""Bucket settings whose CloudFormation form differs from the API's. Pure."""

from typing import Any

from rerank_local.control.errors import Unsupported

# CloudFormation's flat names of a lifecycle rule and where the API keeps them.
_EXPIRATION = {
    "ExpirationInDays": "Days",
    "ExpirationDate": "Date",
    "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker",
}
_AS_IS = ("Status", "AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration")
_RENAMED = {"Id": "ID"}
_KNOWN = frozenset(
    {
        *_EXPIRATION,
        *_AS_IS,
        *_RENAMED,
        "NoncurrentVersionExpirationInDays",
        "NoncurrentVersionTransitions",
        "Prefix",
        "TagFilters",
        "Transitions",
    }
)


def lifecycle_rules(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rules of AWS::S3::Bucket LifecycleConfiguration as PutBucketLifecycleConfiguration takes them.

    Raises:
        Unsupported: a rule says something that would be lost.
    """
    return [_rule(rule) for rule in rules]


def logging_status(bucket: str, value: dict[str, Any]) -> dict[str, Any]:
    """LoggingConfiguration as PutBucketLogging takes it; without a destination a bucket logs to itself."""
    target, prefix = value.get("DestinationBucketName", bucket), value.get("LogFilePrefix", "")
    return {"LoggingEnabled": {"TargetBucket": target, "TargetPrefix": prefix}}


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    if unknown := sorted(set(rule) - _KNOWN):
        raise Unsupported(f"The AWS on this machine does not carry out {unknown[0]} of a bucket's lifecycle rule")
    result = {key: rule[key] for key in _AS_IS if key in rule}
    result |= {theirs: rule[ours] for ours, theirs in _RENAMED.items() if ours in rule}
    if expiration := {theirs: rule[ours] for ours, theirs in _EXPIRATION.items() if ours in rule}:
        result["Expiration"] = expiration
    if "NoncurrentVersionExpirationInDays" in rule:
        result["NoncurrentVersionExpiration"] = {"NoncurrentDays": rule["NoncurrentVersionExpirationInDays"]}
    if "Transitions" in rule:
        result["Transitions"] = [_transition(item, "Days") for item in rule["Transitions"]]
    if "NoncurrentVersionTransitions" in rule:
        moves = rule["NoncurrentVersionTransitions"]
        result["NoncurrentVersionTransitions"] = [_transition(item, "NoncurrentDays") for item in moves]
    result["Filter"] = _filter(rule)
    return result


def _transition(item: dict[str, Any], days: str) -> dict[str, Any]:
    names = {"TransitionInDays": days, "TransitionDate": "Date"}
    return {names.get(key, key): value for key, value in item.items()}


def _filter(rule: dict[str, Any]) -> dict[str, Any]:
    prefix, tags = rule.get("Prefix", ""), rule.get("TagFilters", [])
    if not tags:
        return {"Prefix": prefix}
    return {"And": {"Prefix": prefix, "Tags": tags}}
