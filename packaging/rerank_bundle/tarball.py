"""Writes model.tar.gz: the same files give the same bytes, on every machine and at any time."""

import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from rerank_bundle import layout
from rerank_bundle.errors import SourceError
from rerank_bundle.stored_gzip import StoredGzip

CHUNK_BYTES = 1 << 20
FILE_MODE = 0o644

# What is being done, bytes done, bytes in all.
Progress = Callable[[str, int, int], None]


def no_progress(what: str, done_bytes: int, total_bytes: int) -> None:
    """Reports to nobody."""


def write_tarball(members: Mapping[str, Path], output: Path, *, progress: Progress = no_progress) -> None:
    """Write `members` (name → file) to `output`, which appears complete or not at all.

    Members are sorted with `code/` last; only files, no folders; owner, time and mode are fixed.

    Raises:
        SourceError: a member's name cannot stand in a bundle, or a file changed its size meanwhile.
    """
    for name in members:
        problem = layout.name_problem(name) or (None if layout.is_member(name) else "a bundle has no such member")
        if problem:
            raise SourceError(f"{name!r} cannot be packaged: {problem}.")
    output.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            _write(members, file, progress)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(FILE_MODE)
        Path(temporary).replace(output)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise


def _write(members: Mapping[str, Path], file: BinaryIO, progress: Progress) -> None:
    total = sum(path.stat().st_size for path in members.values())
    done = 0
    gzip = StoredGzip(file)
    # tarfile asks no more of its target than write and tell.
    with tarfile.open(fileobj=cast(io.BytesIO, gzip), mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in layout.member_order(members):
            size = members[name].stat().st_size
            with members[name].open("rb") as content:
                archive.addfile(_header(name, size), content)
                if content.tell() != size or content.read(1):
                    raise SourceError(f"{name} changed while it was being packaged.", tip="Package it again.")
            done += size
            progress("writing", done, total)
    gzip.close()


def _header(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, FILE_MODE, 0
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def file_sha256(path: Path, *, progress: Progress = no_progress, what: str = "hashing") -> str:
    """The file's sha256, in hexadecimal."""
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            progress(what, done, total)
    return digest.hexdigest()
