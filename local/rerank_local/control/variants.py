"""Production variants of an endpoint: from its config, and through updates. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_RETAINED = {
    "DesiredInstanceCount": ("CurrentInstanceCount", "DesiredInstanceCount"),
    "DesiredWeight": ("CurrentWeight", "DesiredWeight"),
}


def started(config_variants: Iterable[Mapping[str, Any]], images: Mapping[str, str]) -> list[dict[str, Any]]:
    """Variants as DescribeEndpoint lists them right after a start; `images`: model name → image."""
    return [_started(variant, images) for variant in config_variants]


def retained(
    new: Sequence[Mapping[str, Any]], old: Sequence[Mapping[str, Any]], excluded: Iterable[str]
) -> list[dict[str, Any]]:
    """`RetainAllVariantProperties`: counts and weights that were set on the running endpoint survive the update.

    Args:
        new: variants of the new config.
        old: variants as they run; matched by name.
        excluded: VariantPropertyType values that are taken from the new config after all.
    """
    keep = [key for kind, keys in _RETAINED.items() if kind not in set(excluded) for key in keys]
    running = {variant["VariantName"]: variant for variant in old}
    return [
        {**variant, **{key: value for key in keep if (value := running.get(variant["VariantName"], {}).get(key))}}
        for variant in new
    ]


def resized(variants: Sequence[Mapping[str, Any]], wanted: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """`UpdateEndpointWeightsAndCapacities`: what a request leaves out stays.

    Raises:
        ValueError: a variant is not on the endpoint, or named twice; its name.
    """
    changed = {variant["VariantName"]: dict(variant) for variant in variants}
    seen: set[str] = set()
    for item in wanted:
        name = item["VariantName"]
        if name not in changed or name in seen:
            raise ValueError(name)
        seen.add(name)
        if item.get("DesiredWeight") is not None:
            changed[name] |= {"DesiredWeight": item["DesiredWeight"], "CurrentWeight": item["DesiredWeight"]}
        if item.get("DesiredInstanceCount") is not None:
            count = item["DesiredInstanceCount"]
            changed[name] |= {"DesiredInstanceCount": count, "CurrentInstanceCount": count}
    return list(changed.values())


def _started(variant: Mapping[str, Any], images: Mapping[str, str]) -> dict[str, Any]:
    weight = variant.get("InitialVariantWeight", 1.0)
    described: dict[str, Any] = {
        "VariantName": variant["VariantName"],
        "CurrentWeight": weight,
        "DesiredWeight": weight,
    }
    if image := images.get(variant.get("ModelName", "")):
        described["DeployedImages"] = [{"SpecifiedImage": image, "ResolvedImage": image}]
    if "ServerlessConfig" in variant:
        serverless = variant["ServerlessConfig"]
        return {**described, "CurrentServerlessConfig": serverless, "DesiredServerlessConfig": serverless}
    count = variant.get("InitialInstanceCount", 1)
    return {**described, "CurrentInstanceCount": count, "DesiredInstanceCount": count}
