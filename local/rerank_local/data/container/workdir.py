"""The folder a model runs in: SAGEMAKER_BASE_DIR, with the archive unpacked under model/."""

import os
import posixpath
import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path

from rerank_local.data.errors import ModelDataFailed
from rerank_local.data.s3 import Fetch


class WorkDir:
    """A temporary folder in the layout of /opt/ml: made by `unpack`, removed by `close`."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def base(self) -> Path:
        """What is /opt/ml in a container; the model is in base/model."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="rerank-local-", ignore_cleanup_errors=True)
        return Path(self._folder.name).resolve()

    def unpack(self, fetch: Fetch, url: str) -> None:
        """Downloads the archive at `url` and unpacks it into base/model.

        Raises:
            ModelDataFailed: in SageMaker's words: it cannot be downloaded, or is not a safe tar.gz.
        """
        try:
            source = fetch(url)
        except Exception as error:  # whatever the store raises: its text is what the reader needs
            raise ModelDataFailed(
                f'Failed to download model data for container "primary" from URL: "{url}". Please ensure that there is '
                f"an object located at the URL and that the role passed to CreateModel has permissions to download "
                f"the object. ({error})"
            ) from error
        try:
            with source, tarfile.open(fileobj=source, mode="r|gz") as archive:
                extract_safely(archive, self.base / "model")
        except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
            raise ModelDataFailed(
                f'Failed to extract model data archive for container "primary" from URL "{url}". Please ensure that '
                f"the object located at the URL is a valid tar.gz archive. ({error})"
            ) from error

    def close(self) -> None:
        """Removes the folder."""
        if self._folder is not None:
            self._folder.cleanup()


def extract_safely(archive: tarfile.TarFile, folder: Path) -> None:
    """Writes folders, files and links of `archive` below `folder`, and nothing outside it.

    This is what `extractall(filter="data")` does; Python before 3.11.4, Debian 12's for example, has no `filter`.
    Symbolic links are made last, so no member is written through a link.

    Raises:
        tarfile.ExtractError: a member is a device, or its name or link points outside the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    links: dict[str, str] = {}
    for member in archive:
        name = _inside(member.name, member.name)
        path = folder / name
        links.pop(name, None)  # of two members with one name the last one counts
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.isreg():
            path.unlink(missing_ok=True)
            _write(archive, member, path)
        elif member.islnk():
            path.unlink(missing_ok=True)
            os.link(folder / _inside(member.linkname, member.name), path)
        elif member.issym():
            _inside(posixpath.join(posixpath.dirname(name), _target(member)), member.name)
            links[name] = member.linkname
        else:
            raise tarfile.ExtractError(f"member {member.name!r} is neither a file nor a folder nor a link")
    for name, target in links.items():
        (folder / name).symlink_to(target)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    source = archive.extractfile(member)
    assert source is not None, "a regular file has content"
    with source, path.open("xb") as file:
        shutil.copyfileobj(source, file)
    # Executable files stay executable; nobody but the owner may write.
    path.chmod(0o755 if member.mode & 0o100 else 0o644)
    if (written := path.stat().st_size) != member.size:
        raise tarfile.ReadError(f"member {member.name!r} is cut short: {written} of {member.size} bytes")


def _inside(name: str, member: str) -> str:
    """The normal form of a path below the folder."""
    normal = posixpath.normpath(name)
    if "\0" in name or normal.startswith(("/", "../")) or normal == "..":
        raise tarfile.ExtractError(f"member {member!r} points outside the folder: {name!r}")
    return normal


def _target(link: tarfile.TarInfo) -> str:
    """Where a symbolic link points: relative, with `..` in front only, because behind another link `..` may leave."""
    parts = link.linkname.split("/")
    while parts and parts[0] == "..":
        parts.pop(0)
    if link.linkname.startswith("/") or ".." in parts:
        raise tarfile.ExtractError(f"member {link.name!r} is a link to {link.linkname!r}, which may leave the folder")
    return link.linkname
