"""rerank verify: is this model.tar.gz whole, safe, and does it score what its manifest says?"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rerank_ops import console, progress
from rerank_ops.commands.package import OUTPUT, in_tenths

if TYPE_CHECKING:
    from rerank_bundle.verify import VerifyReport


def add_parser(subparsers: Any) -> None:
    """Declares the command."""
    parser = subparsers.add_parser(
        "verify",
        help="check a model.tar.gz: archive, hashes, scores",
        description="Unpack a bundle safely, check every member against the manifest, and score its canary pair (for a "
        "published model the published pairs too) with the code it carries, in a clean isolated Python.",
    )
    parser.add_argument("bundle", type=Path, nargs="?", default=OUTPUT, metavar="BUNDLE", help=f"default: {OUTPUT}")
    console.json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Verifies, reports, returns 0; what is wrong is raised."""
    from rerank_bundle.verify import verify

    with progress.meter("verify") as report:
        found = verify(args.bundle, progress=in_tenths(report))
    if found.requirements:
        console.warn("It carries code/requirements.txt: the container installs packages at every start.")
    if found.manifest["model"].get("meaningless_scores"):
        console.warn("This checkpoint has random weights: its scores carry no meaning.")
    if args.json:
        console.emit(as_json(found))
    else:
        console.table(("bundle", str(found.path)), rows(found))
    return 0


def rows(found: "VerifyReport") -> list[tuple[str, object]]:
    """The report as rows of a table."""
    model = found.manifest["model"]
    canary = model["canary"]
    scored = ", ".join(f"{logit:.4f}" for logit in found.acceptance_logits)
    return [
        ("sha256", found.sha256),
        ("model", f"{model['name']} ({model.get('family', 'unknown family')})"),
        ("archive", f"safe: {len(found.members)} plain files, {found.size:,} bytes"),
        ("hashes", "every member is as the manifest says"),
        ("canary", f"{found.canary_logit:.4f}, recorded {canary['logit']:.4f}"),
        ("acceptance", f"{scored}, as published" if scored else "no scores are published for this model"),
    ]


def as_json(found: "VerifyReport") -> dict[str, Any]:
    """The report for programs."""
    return {
        "path": str(found.path),
        "sha256": found.sha256,
        "size": found.size,
        "members": list(found.members),
        "canary_logit": found.canary_logit,
        "acceptance_logits": list(found.acceptance_logits),
        "requirements": found.requirements,
        "manifest": found.manifest,
    }
