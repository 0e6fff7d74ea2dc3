"""What a command reads and writes, looked at before it works: an hour of measuring must not end at a wrong path."""

import os
from pathlib import Path

from rerank_ops.errors import Missing, NotFound, Refused

PICTURES = (".svg", ".png")


def require_input(path: Path, name: str) -> None:
    """`path` is a file that can be read.

    Raises:
        NotFound: it is not there, or is a folder.
    """
    if not path.is_file():
        raise NotFound(f"{name}: {path} {'is a folder' if path.is_dir() else 'does not exist'}.", tip="Name a file.")


def require_file(path: Path, name: str) -> None:
    """`path` can be written as a file; folders above it are made when it is.

    Raises:
        Refused: it is a folder, or lies where nothing can be written.
    """
    if path.is_dir():
        raise Refused(f"{name} {path} is a folder.", tip="Name a file.")
    _require_place(path, name)
    if path.exists() and not os.access(path, os.W_OK):
        raise Refused(f"{name} {path} cannot be written.")


def require_folder(path: Path, name: str) -> None:
    """`path` can be written as a folder.

    Raises:
        Refused: it is a file, or lies where nothing can be written.
    """
    if path.exists() and not path.is_dir():
        raise Refused(f"{name} {path} is a file.", tip="Name a folder.")
    _require_place(path / "file", name)


def require_picture(path: Path, name: str) -> None:
    """`path` can be written as a picture, and matplotlib is there to draw it.

    Raises:
        Refused: as `require_file`, or its name is not of a picture. Missing: matplotlib is not installed.
    """
    import importlib.util

    if path.suffix.lower() not in PICTURES:
        raise Refused(f"{name} {path} must end in {' or '.join(PICTURES)}.")
    require_file(path, name)
    if importlib.util.find_spec("matplotlib") is None:
        raise Missing(f"{name} needs matplotlib, which is not installed.", tip="pip install -e '.[training]'")


def write(path: Path, text: str) -> None:
    """Write a text file; folders above it are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _require_place(path: Path, name: str) -> None:
    """The nearest folder above `path` that exists can be written into."""
    above = next(parent for parent in path.absolute().parents if parent.exists())
    if not above.is_dir():
        raise Refused(f"{name} {path} cannot be written: {above} is a file.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise Refused(f"{name} {path} cannot be written: {above} is not writable.", tip="Name another place.")
