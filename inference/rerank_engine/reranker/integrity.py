"""Is a model folder what was packaged? Every file that bundle.json lists is held against its size and sha256.

A download that broke off, a disk that lies or a file that was swapped would otherwise score, and score wrongly. Each
byte is read once more: 0.05 s to 0.2 s for a model of 66 MB, by processor; RERANK_VERIFY_BUNDLE=false leaves it out.
"""

import hashlib
import json
from pathlib import Path

from rerank_engine.errors import CheckpointError

MANIFEST = "bundle.json"
_TIP = "Upload the bundle again, or package it again; RERANK_VERIFY_BUNDLE=false loads it as it is."


def check_bundle(model_dir: Path) -> int:
    """Hold the files of an unpacked bundle against its manifest; how many were checked, 0 where there is no manifest.

    Files that the manifest does not list (`__pycache__`, what a container adds) do not matter.

    Raises:
        CheckpointError: a listed file is missing, or has another size or sha256; or the list cannot be read.
    """
    path = model_dir / MANIFEST
    if not path.is_file():
        return 0
    try:
        listed = [
            (str(entry["name"]), int(entry["size"]), str(entry["sha256"]))
            for entry in json.loads(path.read_bytes()).get("files") or ()
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error!r}.", tip="Build the bundle again.") from error
    for name, size, sha256 in listed:
        _check(model_dir / name, size, sha256)
    return len(listed)


def _check(path: Path, size: int, sha256: str) -> None:
    try:
        found = path.stat().st_size
        if found != size:
            raise CheckpointError(f"{path} has {found} bytes; {MANIFEST} says {size}.", tip=_TIP)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{path}, which {MANIFEST} lists, cannot be read: {error}.", tip=_TIP) from error
    if digest != sha256:
        raise CheckpointError(f"{path} was changed: its sha256 is {digest}; {MANIFEST} says {sha256}.", tip=_TIP)
