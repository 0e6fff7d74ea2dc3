"""The folder a model runs in: SAGEMAKER_BASE_DIR, with the archive unpacked under model/."""

import tarfile
import tempfile
import zlib
from pathlib import Path

from rerank_ops.local.data.errors import ModelDataFailed
from rerank_ops.local.data.s3 import Fetch


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
                # "data" refuses absolute and escaping paths, links out of the folder, devices
                archive.extractall(self.base / "model", filter="data")
        except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
            raise ModelDataFailed(
                f'Failed to extract model data archive for container "primary" from URL "{url}". Please ensure that '
                f"the object located at the URL is a valid tar.gz archive. ({error})"
            ) from error

    def close(self) -> None:
        """Removes the folder."""
        if self._folder is not None:
            self._folder.cleanup()
