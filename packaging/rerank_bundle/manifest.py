"""bundle.json: what a bundle holds, made when it is built and held against it when it is verified.

The engine reads `model` from it (name, alibi_tail_scale, max_length, canary) and `settings`. The bundle's own digest is
not in it, since it lies inside the archive.
"""

import json
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rerank_bundle import layout
from rerank_bundle.errors import ManifestError
from rerank_bundle.tarball import Progress, file_sha256, no_progress

FORMAT = 1
DISTRIBUTION = "sagemaker-rerank-kit"

Manifest = dict[str, Any]


def kit_version() -> str:
    """The installed version of this kit, or "unknown" when it runs from files that were never installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"


def file_entries(members: Mapping[str, Path], *, progress: Progress = no_progress) -> list[dict[str, Any]]:
    """Name, size in bytes and sha256 of every member, sorted by name."""
    return [
        {"name": name, "size": members[name].stat().st_size, "sha256": file_sha256(members[name], progress=progress)}
        for name in sorted(members)
    ]


def encode(manifest: Manifest) -> bytes:
    """The manifest as it is written: equal values give equal bytes."""
    return (json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def read(folder: Path) -> Manifest:
    """The manifest of an unpacked bundle, its structure checked as far as verifying relies on it.

    Raises:
        ManifestError: there is none, it is not JSON, or it has another structure or format number.
    """
    path = folder / layout.MANIFEST
    if not path.is_file():
        raise ManifestError(f"The bundle has no {layout.MANIFEST}.", tip="Build it with `rerank package`.")
    try:
        manifest = json.loads(path.read_bytes())
    except ValueError as error:
        raise ManifestError(f"{layout.MANIFEST} is not valid JSON: {error}.") from error
    problem = _problem(manifest)
    if problem:
        raise ManifestError(f"{layout.MANIFEST} is not that of a bundle: {problem}.")
    return dict(manifest)


def check_files(manifest: Manifest, folder: Path, names: Iterable[str], *, progress: Progress = no_progress) -> None:
    """Holds the unpacked files against the manifest.

    Args:
        names: the members that were unpacked into `folder`, `bundle.json` among them.

    Raises:
        ManifestError: a member is missing, not listed, listed twice, or has another size or hash.
    """
    listed = {entry["name"]: entry for entry in manifest["files"]}
    if len(listed) != len(manifest["files"]):
        raise ManifestError(f"{layout.MANIFEST} lists a member twice.")
    present = set(names) - {layout.MANIFEST}
    if missing := sorted(listed.keys() - present):
        raise ManifestError(f"The bundle lacks {', '.join(missing)}, which {layout.MANIFEST} lists.")
    if extra := sorted(present - listed.keys()):
        raise ManifestError(f"The bundle holds {', '.join(extra)}, which {layout.MANIFEST} does not list.")
    for name in sorted(listed):
        size, wanted = (folder / name).stat().st_size, listed[name]["size"]
        if size != wanted:
            raise ManifestError(f"{name} has {size:,} bytes, {layout.MANIFEST} says {wanted:,}.")
        digest = file_sha256(folder / name, progress=progress)
        if digest != listed[name]["sha256"]:
            raise ManifestError(
                f"{name} has been changed: its sha256 is {digest}, {layout.MANIFEST} says {listed[name]['sha256']}."
            )


def _problem(manifest: object) -> str | None:
    if not isinstance(manifest, dict):
        return "it is not a JSON object"
    if manifest.get("format") != FORMAT:
        return f"its format is {manifest.get('format')!r}, this kit reads {FORMAT}"
    model, files = manifest.get("model"), manifest.get("files")
    if not isinstance(model, dict) or not isinstance(model.get("name"), str):
        return "it names no model"
    settings = manifest.get("settings")
    if not isinstance(settings, dict) or not all(isinstance(value, str) for value in settings.values()):
        return "it has no settings, or some that are no text"
    if not isinstance(model.get("acceptance", {}), dict):
        return "its acceptance is no JSON object"
    canary = model.get("canary")
    if not isinstance(canary, dict) or not all(isinstance(canary.get(key), str) for key in ("query", "document")):
        return "it has no canary pair"
    if not all(isinstance(canary.get(key), int | float) for key in ("logit", "tolerance")):
        return "its canary has no logit or no tolerance"
    if not isinstance(files, list) or not all(_is_file_entry(entry) for entry in files):
        return "its list of files is damaged"
    return None


def _is_file_entry(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    kinds = {"name": str, "size": int, "sha256": str}
    return all(isinstance(entry.get(key), kind) for key, kind in kinds.items())
