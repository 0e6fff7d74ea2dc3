"""Where the kit's own files are: in the checkout that this package runs from, else in the copy that a wheel carries.

A wheel has them in `data/checkout/` of this package, laid out as in the checkout; `packaging/wheel.py` puts them there.
"""

from pathlib import Path

from rerank_bundle.errors import BundleError

_PACKAGE = Path(__file__).resolve().parent
CARRIED = _PACKAGE / "data" / "checkout"


def checkout(package: Path = _PACKAGE) -> Path | None:
    """The checkout whose `packaging/` holds this package; None where the kit was installed from a wheel."""
    root = package.parent.parent
    return root if package.parent.name == "packaging" and (root / "pyproject.toml").is_file() else None


def place(name: str) -> Path:
    """The file or folder `name` of the kit, a path as in the checkout: "inference", "cdk.json".

    Raises:
        BundleError: the installation has no such file.
    """
    path = (checkout() or CARRIED) / name
    if not path.exists():
        raise BundleError(
            f"{path} is not there: this installation of the kit is not whole.",
            tip="Install the kit again: pip install -e '.[ops]' in a clone, or a wheel of `pip wheel . --no-deps`.",
        )
    return path
