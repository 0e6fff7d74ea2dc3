"""Puts a calibration into a bundle that was built before: every member stays as it is, but for bundle.json."""

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rerank_bundle import layout
from rerank_bundle import manifest as manifests
from rerank_bundle.errors import ManifestError
from rerank_bundle.tarball import Progress, file_sha256, no_progress, write_tarball
from rerank_bundle.unpack import unpack


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The bundle that was written.

    Attributes:
        path: the tarball.
        sha256: its digest, in hexadecimal.
        size: its size in bytes.
    """

    path: Path
    sha256: str
    size: int


def recalibrate(
    bundle: Path, output: Path, *, method: str, a: float, b: float = 0.0, progress: Progress = no_progress
) -> Calibrated:
    """Write `bundle` to `output` (which may be the same) with the calibration σ(a·logit + b) in its manifest.

    Args:
        bundle: a bundle; its files are held against its manifest first.
        output: the new one; it appears complete or not at all.
        method: platt, or temperature, which has b = 0.
        a: factor of the logit, positive.
        b: shift, in logits.

    Raises:
        ArchiveError: `bundle` must not be unpacked, or is no bundle.
        ManifestError: its members are not what its manifest says, or the numbers are no calibration.
    """
    if method not in ("platt", "temperature") or not (math.isfinite(a) and math.isfinite(b) and a > 0):
        raise ManifestError(f"{method!r} with a = {a}, b = {b} is not a calibration: a must be positive.")
    with tempfile.TemporaryDirectory(prefix="rerank-calibrate-") as temporary:
        folder = Path(temporary)
        names = unpack(bundle, folder, progress=progress)
        manifest = manifests.read(folder)
        manifests.check_files(manifest, folder, names, progress=progress)
        manifest["model"]["calibration"] = {"method": method, "a": round(a, 6), "b": round(b, 6)}
        (folder / layout.MANIFEST).write_bytes(manifests.encode(manifest))
        write_tarball({name: folder / name for name in names}, output, progress=progress)
    return Calibrated(output, file_sha256(output, progress=progress), output.stat().st_size)
