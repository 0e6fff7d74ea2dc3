"""Lays a bundle out in a folder before it is packed, so that what is scored is what is shipped."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from rerank_bundle import layout
from rerank_bundle.errors import BundleError
from rerank_bundle.places import place


def engine_folder() -> Path:
    """The kit's folder `inference/`: it becomes the bundle's `code/`.

    Raises:
        BundleError: it is not there.
    """
    return place("inference/rerank_engine").parent


def copy_engine(inference: Path, code: Path) -> dict[str, Path]:
    """Copy the doors and the package of `inference` into the new folder `code`; return member name → copy.

    Only Python files are taken: no caches, no notes.

    Raises:
        BundleError: a door is missing, or a file is a link or has a name that no bundle may hold.
    """
    members: dict[str, Path] = {}
    for door in layout.DOORS:
        if not (inference / door).is_file():
            raise BundleError(f"{inference / door} is missing; a bundle needs it to serve.")
    sources = [inference / door for door in layout.DOORS] + sorted((inference / "rerank_engine").rglob("*.py"))
    for source in sources:
        relative = source.relative_to(inference)
        name = f"{layout.CODE}/{relative.as_posix()}"
        if source.is_symlink() or not layout.is_member(name):
            raise BundleError(f"{source} cannot be packaged: it is a link, or its name is not that of a module.")
        members[name] = code / relative
        members[name].parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, members[name])
    return members


def model_folder(folder: Path, files: Mapping[str, Path], manifest: bytes) -> Path:
    """A model folder as the engine reads it: links to `files` (those beside `code/`) and a manifest; returns `folder`.

    The links live in a working folder only; an archive never holds one.
    """
    folder.mkdir(parents=True)
    for name, path in files.items():
        if "/" not in name:
            _link_or_copy(path.resolve(), folder / name)
    (folder / layout.MANIFEST).write_bytes(manifest)
    return folder


def _link_or_copy(path: Path, link: Path) -> None:
    try:
        link.symlink_to(path)
    except OSError:  # Windows without the privilege
        shutil.copyfile(path, link)
