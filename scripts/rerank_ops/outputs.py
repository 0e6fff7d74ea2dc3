"""What commands read and write: judged before the work, so that hours of it are not lost to a mistyped path."""

import os
from collections.abc import Iterable
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


def check_file(path: Path | None, flag: str, *, inputs: Iterable[Path] = ()) -> None:
    """Refuses a file that could not be written at the end; None, for a flag that was not given, is fine.

    Args:
        path: the file; it may exist, and its folder need not.
        flag: what the user gave it with, for the message.
        inputs: files that are read, which it must not replace.

    Raises:
        Refused: it is a folder, one of the inputs, or in a place where no file can be made.
    """
    if path is None:
        return
    if path.is_dir():
        raise Refused(f"{flag} {path} is a folder.", tip=f"Name a file in it, such as {path / 'NAME'}.")
    if path.exists() and any(one.exists() and path.samefile(one) for one in inputs):
        raise Refused(f"{flag} {path} is also what is read.", tip="Name another file: the input would be lost.")
    if path.exists() and not os.access(path, os.W_OK):
        raise Refused(f"{flag} {path} cannot be written: no permission.", tip="Name another file.")
    _check_parent(path, flag)


def check_folder(path: Path | None, flag: str) -> None:
    """Refuses a folder that could not be made or written into.

    Raises:
        Refused: it is a file, or in a place where no folder can be made.
    """
    if path is None:
        return
    if path.exists() and not path.is_dir():
        raise Refused(f"{flag} {path} is a file.", tip="Name a folder; one that is not there is made.")
    _check_parent(path / "file", flag)


def require_picture(path: Path, name: str) -> None:
    """`path` can be written as a picture, and matplotlib is there to draw it.

    Raises:
        Refused: as `check_file`, or its name is not of a picture. Missing: matplotlib is not installed.
    """
    import importlib.util

    if path.suffix.lower() not in PICTURES:
        raise Refused(f"{name} {path} must end in {' or '.join(PICTURES)}.")
    check_file(path, name)
    if importlib.util.find_spec("matplotlib") is None:
        raise Missing(f"{name} needs matplotlib, which is not installed.", tip="pip install -e '.[training]'")


def write(path: Path, text: str) -> None:
    """Writes a text file that `check_file` let pass; its folder is made where it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _check_parent(path: Path, flag: str) -> None:
    there = next(folder for folder in path.absolute().parents if folder.exists())
    if not there.is_dir():
        raise Refused(f"{flag} {path} cannot be written: {there} is a file, not a folder.", tip="Name another place.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise Refused(f"{flag} {path} cannot be written: no permission in {there}.", tip="Name another folder.")
