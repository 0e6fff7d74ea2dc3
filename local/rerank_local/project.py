"""The folder that `cdk` runs in where there is no checkout: the CDK app of an installed wheel, written out once.

It is `.rerank/project-VERSION` of the current folder: cdk.json, infra/app.py and infra/deployments/. Files that are
there already are left as they are, so that a deployment's file may be edited.
"""

import shutil
from pathlib import Path

from rerank_bundle.manifest import kit_version
from rerank_bundle.places import place

_FILES = ("cdk.json", "infra/app.py", "infra/deployments")


def written(folder: Path) -> Path:
    """The project below `folder`, written where it is not yet.

    Raises:
        BundleError: this installation carries no CDK app.
    """
    project = folder / ".rerank" / f"project-{kit_version()}"
    for name in _FILES:
        source, target = place(name), project / name
        for file in sorted(source.iterdir()) if source.is_dir() else [source]:
            copy = target / file.name if source.is_dir() else target
            if not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)
    return project
