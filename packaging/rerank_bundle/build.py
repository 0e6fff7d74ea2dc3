"""Builds a bundle: checkpoint folder in, scored and recorded, model.tar.gz out.

read → lay out → score with the bundle's own code → judge → write manifest → write tarball
"""

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rerank_bundle import acceptance, layout
from rerank_bundle import manifest as manifests
from rerank_bundle.checkpoint import read_checkpoint
from rerank_bundle.hub import check_revision
from rerank_bundle.isolated import score_in_isolation
from rerank_bundle.known_models import KnownModels, shipped
from rerank_bundle.manifest import Manifest
from rerank_bundle.precision import SETTING, LowerPrecision, hold
from rerank_bundle.staging import copy_engine, engine_folder, model_folder
from rerank_bundle.tarball import Progress, file_sha256, no_progress, write_tarball

# Long enough for distances (and so the slopes of ALiBi) to matter, short enough for every window.
CANARY = (
    "How do I keep the latency of my endpoint low?",
    "Latency grows with the number of tokens in a batch. Keep the token budget small, choose an instance with a "
    "graphics card for long documents, and let autoscaling add instances before the queue grows.",
)
CANARY_TOLERANCE = 0.01  # of a logit, in fp32; the engine adds what half precision costs
DIGITS = 4  # of the logits written down: below them CPUs differ


@dataclass(frozen=True, slots=True)
class BundleReport:
    """What was built.

    Attributes:
        path: the tarball.
        sha256: its digest, in hexadecimal; it names the bundle in S3.
        size: its size in bytes.
        members: names in the archive's order.
        manifest: its bundle.json.
        left_out: files of the source that were not shipped.
        tokenizer: flags that tokenizer_config.json has otherwise than tokenizer.json, which is read.
    """

    path: Path
    sha256: str
    size: int
    members: tuple[str, ...]
    manifest: Manifest
    left_out: tuple[str, ...]
    tokenizer: tuple[str, ...] = ()


def build(
    source: Path,
    output: Path,
    *,
    name: str | None = None,
    revision: str | None = None,
    source_id: str | None = None,
    settings: Mapping[str, str] | None = None,
    lower: LowerPrecision | None = None,
    allow_requirements: bool = False,
    known: KnownModels | None = None,
    inference: Path | None = None,
    python: str = sys.executable,
    progress: Progress = no_progress,
) -> BundleReport:
    """Build the bundle of the checkpoint in `source`; equal inputs give equal bytes.

    Args:
        source: checkpoint folder (config.json, model.safetensors, tokenizer.json, …).
        output: the tarball, replaced when it exists.
        name: the model's name; by default the folder's. A published name must give the published scores.
        revision: full commit sha that the folder is a copy of, recorded.
        source_id: where it came from (a hub id, "demo"); by default the name where a revision says so, else "folder".
        settings: RERANK_* variables that deployments of this bundle start from.
        lower: a precision below fp32 that deployments of this bundle run in on CPUs, if it ranks as fp32 does.
        allow_requirements: ship the source's requirements.txt, which the container will then install.
        known: published models and scores; by default those of this kit.
        inference: folder that becomes `code/`; by default this checkout's.
        python: interpreter that runs the bundle's code.

    Raises:
        BundleError: one of its tree; nothing is written then.
    """
    if revision is not None:
        check_revision(revision)
    table = known or shipped()
    checkpoint = read_checkpoint(source, allow_requirements=allow_requirements)
    model_name = name or checkpoint.default_name
    expectation = acceptance.expect(model_name, checkpoint.config, table)
    tried = acceptance.variants(checkpoint.config, expectation)
    pairs = (CANARY, *table.pairs) if expectation.logits is not None else (CANARY,)
    with tempfile.TemporaryDirectory(prefix="rerank-bundle-") as temporary:
        work = Path(temporary)
        members = checkpoint.files | copy_engine(inference or engine_folder(), work / layout.CODE)
        folders = [
            model_folder(work / f"variant-{number}", checkpoint.files, _provisional(model_name, variant))
            for number, variant in enumerate(tried)
        ]
        progress("scoring", 0, 1)
        scores = score_in_isolation(
            work / layout.CODE,
            folders,
            pairs,
            settings=settings or {},
            one_tokenizer=expectation.logits is None,  # published scores are the better judge
            python=python,
        )
        progress("scoring", 1, 1)
        accepted = [logits[1:] for logits in scores.logits]
        verdict = acceptance.judge(expectation, tried, accepted, tolerance=table.tolerance)
        lowered: dict[str, Any] = {}
        if lower is not None:
            progress(f"comparing {lower.name} with fp32", 0, 1)
            lowered = {"parity": hold(lower, work / layout.CODE, folders[verdict.variant], python=python)}
        manifest: Manifest = {
            "format": manifests.FORMAT,
            "kit_version": manifests.kit_version(),
            "model": {
                "name": model_name,
                "family": scores.family,
                "alibi_tail_scale": acceptance.settled_scale(checkpoint.config, tried, verdict.variant, scores.logits),
                "max_length": scores.max_length,
                "dtype_stored": checkpoint.weights.dtype,
                "parameters": checkpoint.weights.parameters,
                "canary": _canary(scores.logits[verdict.variant][0]),
                "acceptance": _acceptance(verdict, expectation, table, accepted[verdict.variant]),
                "meaningless_scores": checkpoint.is_demo,
                **lowered,
            },
            "source": {"id": source_id or (model_name if revision else "folder"), "revision": revision},
            "settings": scores.settings | ({SETTING: lower.name} if lower is not None else {}),
            "files": manifests.file_entries(members, progress=progress),
        }
        members[layout.MANIFEST] = work / layout.MANIFEST
        members[layout.MANIFEST].write_bytes(manifests.encode(manifest))
        write_tarball(members, output, progress=progress)
    return BundleReport(
        path=output,
        sha256=file_sha256(output, progress=progress),
        size=output.stat().st_size,
        members=tuple(layout.member_order(members)),
        manifest=manifest,
        left_out=checkpoint.left_out,
        tokenizer=scores.tokenizer,
    )


def _provisional(name: str, variant: acceptance.Variant) -> bytes:
    """As much of a manifest as the engine needs to score a variant."""
    declared = {} if variant is None else {"alibi_tail_scale": variant}
    return manifests.encode({"format": manifests.FORMAT, "model": {"name": name, **declared}})


def _canary(logit: float) -> dict[str, object]:
    query, document = CANARY
    return {"query": query, "document": document, "logit": round(logit, DIGITS), "tolerance": CANARY_TOLERANCE}


def _acceptance(
    verdict: acceptance.Verdict, expectation: acceptance.Expectation, table: KnownModels, logits: tuple[float, ...]
) -> dict[str, object]:
    model = expectation.model
    if not verdict.checked or model is None or model.logits is None:
        return {"checked": False, "reason": verdict.reason, "pairs": []}
    pairs = [
        {"query": query, "document": document, "published": published, "logit": round(logit, DIGITS)}
        for (query, document), published, logit in zip(table.pairs, model.logits, logits, strict=True)
    ]
    return {"checked": True, "model": model.name, "tolerance": table.tolerance, "pairs": pairs}
