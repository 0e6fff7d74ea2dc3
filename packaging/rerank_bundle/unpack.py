"""Unpacks a tarball that may come from anywhere, writing nothing outside one folder.

It reads exactly what `tarball` writes, plain ustar headers of regular files, and refuses everything else by name:
links, devices, folders, pax and GNU extensions, strange or double names, and more than the limits allow.
"""

import gzip
import json
import os
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from rerank_bundle import layout
from rerank_bundle.errors import ArchiveError
from rerank_bundle.tarball import CHUNK_BYTES, Progress, no_progress

_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.DIRTYPE: "a folder entry",
    tarfile.FIFOTYPE: "a named pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
    tarfile.GNUTYPE_LONGNAME: "a GNU extension header",
    tarfile.GNUTYPE_LONGLINK: "a GNU extension header",
    tarfile.XHDTYPE: "a pax extension header",
    tarfile.XGLTYPE: "a pax extension header",
}
_LARGEST_MANIFEST_BYTES = 4_000_000
_REPACKED = "Bundles are written by `rerank package`; an archive packed by other tools is not one."
_DAMAGED = "The download is damaged or incomplete: fetch it again, or build it again with `rerank package`."


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an archive may unpack to.

    Attributes:
        members: files.
        unpacked_bytes: bytes of all files together.
        ratio: unpacked bytes per packed byte, above the first 64 MiB; bundles store, so theirs is 1.
    """

    members: int = 1_000
    unpacked_bytes: int = 20 * 1024**3
    ratio: float = 100.0

    def allowed_bytes(self, packed_bytes: int) -> int:
        """The most that an archive of that size may unpack to."""
        return min(self.unpacked_bytes, int(64 * 1024**2 + self.ratio * packed_bytes))


DEFAULT_LIMITS = Limits()


def unpack(
    archive: Path, folder: Path, *, limits: Limits = DEFAULT_LIMITS, progress: Progress = no_progress
) -> tuple[str, ...]:
    """Unpack `archive` into the empty `folder`; return the members' names in the archive's order.

    Raises:
        ArchiveError: the archive is damaged, or holds anything but the files of a bundle.
    """
    if archive.is_dir():
        raise ArchiveError(f"{archive} is a folder.", tip="Name the model.tar.gz in it.")
    if not archive.is_file():
        raise ArchiveError(f"{archive} is not a file.", tip="Build it first: rerank package SOURCE.")
    if not os.access(archive, os.R_OK):
        raise ArchiveError(f"{archive} cannot be read: no permission.")
    packed = archive.stat().st_size
    allowed = limits.allowed_bytes(packed)
    names: list[str] = []
    seen: set[str] = set()
    unpacked = 0
    try:
        with archive.open("rb") as raw, gzip.open(raw) as stream:
            while (header := _next_header(stream)) is not None:
                _check(header, seen)
                unpacked += header.size
                names.append(header.name)
                if len(names) > limits.members:
                    raise ArchiveError(f"{archive.name} holds more than {limits.members:,} members.")
                if unpacked > allowed:
                    raise ArchiveError(
                        f"{archive.name} ({packed:,} bytes) would unpack to {unpacked:,} bytes or more; "
                        f"{allowed:,} are allowed."
                    )
                _extract(stream, header, folder)
                progress("unpacking", min(raw.tell(), packed), packed)
            _check_end(stream, archive)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ArchiveError(f"{archive.name} is not a complete gzip file: {error}.", tip=_DAMAGED) from error
    return tuple(names)


def read_manifest(archive: Path) -> dict[str, Any]:
    """The manifest in `archive`, which is read as far as there and not checked against the files.

    Raises:
        ArchiveError: it is no bundle, or its manifest is not a JSON object.
    """
    try:
        with archive.open("rb") as raw, gzip.open(raw) as stream:
            while (header := _next_header(stream)) is not None:
                _check(header, set())
                if header.name == layout.MANIFEST and header.size <= _LARGEST_MANIFEST_BYTES:
                    value = json.loads(stream.read(header.size))
                    if isinstance(value, dict):
                        return value
                    break
                stream.seek(header.size + -header.size % tarfile.BLOCKSIZE, 1)
    except (EOFError, gzip.BadGzipFile, zlib.error, ValueError) as error:
        raise ArchiveError(f"{archive.name} is not a bundle: {error}.", tip=_DAMAGED) from error
    raise ArchiveError(f"{archive.name} is not a bundle: it has no {layout.MANIFEST}.", tip=_REPACKED)


def _next_header(stream: BinaryIO | gzip.GzipFile) -> tarfile.TarInfo | None:
    """The next member's header; None at the end of the archive."""
    block = stream.read(tarfile.BLOCKSIZE)
    if len(block) == tarfile.BLOCKSIZE and not any(block):
        return None
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise ArchiveError(f"The archive is damaged: {error or 'cut short'}.", tip=_DAMAGED) from error


def _check(header: tarfile.TarInfo, seen: set[str]) -> None:
    """Refuses a member that is no plain file of a bundle, or the second of its name."""
    problem = layout.name_problem(header.name)
    kind = None if header.type in (tarfile.REGTYPE, tarfile.AREGTYPE) else _KINDS.get(header.type, "of an unknown type")
    if kind and "extension" in kind:
        raise ArchiveError(f"The archive holds {kind}, which can rename other members.", tip=_REPACKED)
    if kind:
        raise ArchiveError(f"Member {header.name!r} is {kind}; a bundle holds plain files only.", tip=_REPACKED)
    if problem:
        raise ArchiveError(f"Member {header.name!r} is refused: {problem}.")
    if header.size < 0:
        raise ArchiveError(f"Member {header.name!r} says its size is {header.size}.")
    # Folded, since macOS and Windows would write both names into one file.
    if header.name.casefold() in seen:
        raise ArchiveError(f"Member {header.name!r} is there twice.")
    seen.add(header.name.casefold())
    if not layout.is_member(header.name):
        raise ArchiveError(f"Member {header.name!r} does not belong in a bundle.", tip=_REPACKED)


def _extract(stream: gzip.GzipFile, header: tarfile.TarInfo, folder: Path) -> None:
    path = folder / header.name
    path.parent.mkdir(parents=True, exist_ok=True)
    left = header.size
    with path.open("xb") as file:
        while left:
            chunk = stream.read(min(CHUNK_BYTES, left))
            if not chunk:
                raise ArchiveError(f"Member {header.name!r} is cut short, {left:,} bytes are missing.", tip=_DAMAGED)
            file.write(chunk)
            left -= len(chunk)
    stream.read(-header.size % tarfile.BLOCKSIZE)


def _check_end(stream: gzip.GzipFile, archive: Path) -> None:
    """After the end marker only padding may follow, a tar record of it at most."""
    rest = stream.read(tarfile.RECORDSIZE + 1)
    if any(rest) or len(rest) > tarfile.RECORDSIZE:
        raise ArchiveError(f"{archive.name} goes on after its end.", tip=_REPACKED)
