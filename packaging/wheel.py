"""Adds to a wheel what the commands need beside the packages: hatchling runs this when it builds one.

The copies lie in `rerank_bundle/data/checkout/`, where `rerank_bundle.places` looks outside a checkout. An editable
install gets none, since it runs from the checkout.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TARGET = "rerank_bundle/data/checkout"
# The engine's code that each bundle carries, the model of `demo`, and the CDK app with its deployments. The engine is
# named as a folder: files that are named one by one would be left out of the wheel's own package.
CARRIED = (
    "inference/inference.py",
    "inference/serve.py",
    "inference/rerank_engine",
    "training/checkpoints/demo",
    "infra/app.py",
    "infra/deployments",
    "cdk.json",
)


class CarryCheckout(BuildHookInterface):  # type: ignore[type-arg]
    """Names the files of the checkout that a wheel carries."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds them to what a standard wheel includes."""
        if version == "standard":
            root = Path(self.root)
            build_data["force_include"] |= {str(root / name): f"{TARGET}/{name}" for name in CARRIED}
