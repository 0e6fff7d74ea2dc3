"""Verifies a bundle as a stranger would: unpack it safely, check every hash, score with the code it carries.

It proves that a bundle is whole and does what its manifest says. It does not prove who built it: for that, compare its
sha256 with the one that `rerank package` printed.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rerank_bundle import acceptance, layout
from rerank_bundle import manifest as manifests
from rerank_bundle.errors import ScoreMismatch
from rerank_bundle.isolated import score_in_isolation
from rerank_bundle.known_models import KnownModels, shipped
from rerank_bundle.manifest import Manifest
from rerank_bundle.tarball import Progress, file_sha256, no_progress
from rerank_bundle.unpack import DEFAULT_LIMITS, Limits, unpack

# Of a logit, both in fp32 on a CPU: what differs between processors is far below, a wrong weight far above.
CANARY_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was found.

    Attributes:
        path: the tarball.
        sha256: its digest, in hexadecimal.
        size: its size in bytes.
        members: names in the archive's order.
        manifest: its bundle.json.
        canary_logit: what its code scored for the manifest's canary pair.
        acceptance_logits: what it scored for the published pairs; empty when none are published for it.
        requirements: whether it makes the container install packages at start.
    """

    path: Path
    sha256: str
    size: int
    members: tuple[str, ...]
    manifest: Manifest
    canary_logit: float
    acceptance_logits: tuple[float, ...]
    requirements: bool


def verify(
    path: Path,
    *,
    limits: Limits = DEFAULT_LIMITS,
    known: KnownModels | None = None,
    python: str = sys.executable,
    progress: Progress = no_progress,
) -> VerifyReport:
    """Verify the bundle at `path`.

    Raises:
        ArchiveError: it must not be unpacked, or is no bundle.
        ManifestError: its members are not what its manifest says.
        SettingError: its settings are not the engine's.
        ScoringError: its code cannot load or score.
        ScoreMismatch: it scores other than recorded, or other than published under its name.
    """
    table = known or shipped()
    with tempfile.TemporaryDirectory(prefix="rerank-verify-") as temporary:
        folder = Path(temporary)
        members = unpack(path, folder, limits=limits, progress=progress)
        manifest = manifests.read(folder)
        manifests.check_files(manifest, folder, members, progress=progress)
        model = manifest["model"]
        name, logits, tolerance, published = _published(model, table)
        canary = model["canary"]
        progress("scoring", 0, 1)
        scored = score_in_isolation(
            folder / layout.CODE,
            [folder],
            ((canary["query"], canary["document"]), *published),
            settings=manifest["settings"],
            python=python,
        ).logits[0]
        progress("scoring", 1, 1)
    _check_canary(canary, scored[0])
    if logits and not acceptance.gap(scored[1:], logits) <= tolerance:  # so that NaN is no match
        raise ScoreMismatch(
            acceptance.mismatch_text(name, logits, {"": scored[1:]}),
            tip="Package the published checkpoint again, at its pinned revision, or under a name of its own.",
        )
    return VerifyReport(
        path=path,
        sha256=file_sha256(path, progress=progress),
        size=path.stat().st_size,
        members=members,
        manifest=manifest,
        canary_logit=scored[0],
        acceptance_logits=scored[1:],
        requirements=f"{layout.CODE}/{layout.REQUIREMENTS}" in members,
    )


def _check_canary(canary: Mapping[str, Any], logit: float) -> None:
    recorded = float(canary["logit"])
    tolerance = min(CANARY_TOLERANCE, float(canary["tolerance"]))
    if not abs(logit - recorded) <= tolerance:
        raise ScoreMismatch(
            f"The canary pair scores {logit:.4f}, the manifest says {recorded:.4f} (tolerance {tolerance}).",
            tip="Its weights, code or tokenizer are not those it was built from. Build it again with `rerank package`.",
        )


def _published(
    model: Mapping[str, Any], table: KnownModels
) -> tuple[str, tuple[float, ...], float, Sequence[tuple[str, str]]]:
    """What to hold it against: the published scores of its name, else of the model it was recognised as."""
    by_name = table.named(model["name"])
    recognised = table.named(str(model.get("acceptance", {}).get("model", "")))
    found = by_name or recognised
    if found is None or found.logits is None:
        return model["name"], (), table.tolerance, ()
    return found.name, found.logits, table.tolerance, table.pairs
