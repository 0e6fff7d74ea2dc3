"""rerank package: a checkpoint becomes model.tar.gz."""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rerank_ops import console, outputs, progress
from rerank_ops.errors import Refused, Usage

if TYPE_CHECKING:
    from rerank_bundle.build import BundleReport
    from rerank_bundle.precision import LowerPrecision
    from rerank_bundle.tarball import Progress

OUTPUT = Path("dist/model.tar.gz")
WORTH_A_BAR_BYTES = 32_000_000


def add_parser(subparsers: Any) -> None:
    """Declares the command."""
    parser = subparsers.add_parser(
        "package",
        help="make a model.tar.gz from a checkpoint",
        description="Make a deterministic model.tar.gz from a checkpoint: weights, tokenizer, manifest and the "
        "engine's code. It is scored with that code first; a published model must give its published scores.",
    )
    parser.add_argument(
        "source", metavar="SOURCE", help="checkpoint folder, hub id org/name[@sha], demo, or demo-random"
    )
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE", help=f"default: {OUTPUT}")
    parser.add_argument("--force", action="store_true", help="replace the bundle of another model, or another file")
    parser.add_argument("--revision", metavar="SHA", help="full commit sha on the hub (known models have theirs)")
    parser.add_argument("--name", help="model name in answers and reports; default: the hub id or the folder's name")
    parser.add_argument(
        "--setting",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting to start from, such as RERANK_TOKEN_BUDGET=32768; may be repeated",
    )
    parser.add_argument(
        "--allow-requirements", action="store_true", help="ship requirements.txt; the container installs it at start"
    )
    parser.add_argument(
        "--precision",
        choices=("mixed", "bf16", "int8"),
        help="what CPUs compute in; refused where it ranks other than fp32 (Kendall's tau, nDCG@10)",
    )
    parser.add_argument(
        "--evaluation", type=Path, metavar="FOLDER", help="collection in BEIR's layout to compare --precision on"
    )
    parser.add_argument("--force-precision", action="store_true", help="package it even then")
    console.json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Packages, reports, returns 0; errors are raised."""
    from rerank_bundle.build import build
    from rerank_bundle.checkpoint import read_checkpoint
    from rerank_bundle.source import resolve

    settings = parse_settings(args.setting)
    lower = _lower(args, settings)
    _check_output(args.source, args.output)
    before = replaced(args.output)
    with tempfile.TemporaryDirectory(prefix="rerank-source-") as work, progress.meter("package") as report:
        source = resolve(
            args.source,
            revision=args.revision,
            work=Path(work),
            downloads=args.output.parent / "checkpoints",
        )
        name = args.name or source.name or read_checkpoint(source.folder, allow_requirements=True).default_name
        if not args.force:
            refuse_other(before, args.output, name)
        built = build(
            source.folder,
            args.output,
            name=name,
            revision=source.revision,
            source_id=source.id,
            settings=settings,
            lower=lower,
            allow_requirements=args.allow_requirements,
            progress=in_tenths(report),
        )
    for text in remarks(built):
        console.warn(text)
    if before is not None and before.calibrated and "calibration" not in built.manifest["model"]:
        console.warn("The bundle that was replaced had calibrated probabilities: fit them again, `rerank calibrate`.")
    unchanged = before is not None and before.sha256 == built.sha256
    if args.json:
        console.emit(as_json(built) | {"unchanged": unchanged})
    else:
        console.table(("bundle", str(built.path)), rows(built))
    if unchanged:
        console.talk(f"{built.path} is byte for byte what it was: deploying it again changes nothing.")
    return 0


@dataclass(frozen=True, slots=True)
class Replaced:
    """What stands where a bundle shall be written.

    Attributes:
        model: the name in its manifest; None when it is no bundle.
        sha256: of the file.
        calibrated: whether probabilities were fitted into it.
    """

    model: str | None
    sha256: str
    calibrated: bool = False


def replaced(output: Path) -> Replaced | None:
    """The file at `output`; None when there is none."""
    from rerank_bundle.errors import BundleError
    from rerank_bundle.tarball import file_sha256
    from rerank_bundle.unpack import read_manifest

    if not output.is_file():
        return None
    try:
        model = read_manifest(output)["model"]
        return Replaced(str(model["name"]), file_sha256(output), calibrated="calibration" in model)
    except (BundleError, KeyError, TypeError):
        return Replaced(None, file_sha256(output))


def refuse_other(before: Replaced | None, output: Path, name: str) -> None:
    """Refuses to write the model `name` over another one, or over a file that is no bundle.

    Raises:
        Refused: `before` is not a bundle of that model.
    """
    if before is None or before.model == name:
        return
    held = "is not a bundle" if before.model is None else f"holds the model {before.model!r}"
    raise Refused(
        f"{output} {held}; it would be replaced by the model {name!r}.",
        tip=f"Write beside it (--output {output.parent / name.rpartition('/')[2]}.tar.gz) and deploy that "
        "(-c bundle=FILE, or bundle.path of the deployment), or replace it with --force.",
    )


def _check_output(source: str, output: Path) -> None:
    """Refuses an output that could not be written, or that is a file of the checkpoint."""
    from rerank_bundle.layout import is_member

    folder = Path(source).expanduser()
    inputs = [path for path in folder.iterdir() if is_member(path.name)] if source and folder.is_dir() else []
    outputs.check_file(output, "--output", inputs=inputs)


def _lower(args: argparse.Namespace, settings: dict[str, str]) -> "LowerPrecision | None":
    from rerank_bundle.precision import SETTING, LowerPrecision

    if args.precision is None:
        if args.evaluation is not None or args.force_precision:
            raise Usage("--evaluation and --force-precision go with --precision.")
        return None
    if SETTING in settings:
        raise Usage(f"--precision sets {SETTING}, and so does --setting.", tip="Give one of them.")
    return LowerPrecision(args.precision, args.evaluation, force=args.force_precision)


def parse_settings(given: list[str]) -> dict[str, str]:
    """KEY=VALUE pairs as a mapping; what they mean is for the engine to judge.

    Raises:
        Usage: one has no `=`, or a key is given twice.
    """
    settings: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise Usage(f"--setting {text!r} is not KEY=VALUE.", tip="Example: --setting RERANK_TOKEN_BUDGET=32768")
        if key in settings:
            raise Usage(f"--setting {key} is given twice.")
        settings[key] = value
    return settings


def in_tenths(report: progress.Meter) -> "Progress":
    """A bundle's progress (what, bytes done, bytes in all) as a meter's: in tenths, small files just named."""

    def tell(what: str, done_bytes: int, total_bytes: int) -> None:
        if total_bytes < WORTH_A_BAR_BYTES:
            report(None, what)
        else:
            report(done_bytes * 10 // total_bytes / 10, f"{what} {total_bytes / 1e6:,.0f} MB")

    return tell


def remarks(built: "BundleReport") -> list[str]:
    """What a person should know about it beyond the table."""
    from rerank_bundle.judged import SAMPLE

    found = []
    model = built.manifest["model"]
    if model["meaningless_scores"]:
        found.append("This checkpoint has random weights: its scores carry no meaning.")
    elif not model["acceptance"]["checked"]:
        found.append(f"Its scores were not held against published ones: {model['acceptance']['reason']}.")
    if model.get("parity", {}).get("evaluation") == SAMPLE:
        found.append(
            f"{model['parity']['precision']} was held against fp32 on {SAMPLE} only, {model['parity']['pairs']} pairs: "
            "too few to notice rare changes. --evaluation FOLDER holds it against documents of yours."
        )
    found += [f"{text}. The engine reads tokenizer.json." for text in built.tokenizer]
    if built.left_out:
        found.append(f"Left out of the bundle: {', '.join(built.left_out)}.")
    return found


def rows(built: "BundleReport") -> list[tuple[str, object]]:
    """The report as rows of a table."""
    model, source = built.manifest["model"], built.manifest["source"]
    return [
        ("sha256", built.sha256),
        ("size", f"{built.size:,} bytes"),
        ("model", f"{model['name']} ({model['family']}, {model['parameters']:,} parameters, {model['dtype_stored']})"),
        ("source", source["id"] + (f"@{source['revision']}" if source["revision"] else "")),
        ("window", f"{model['max_length']:,} tokens"),
        *([("slopes", f"alibi_tail_scale {model['alibi_tail_scale']}")] if model["family"] == "jina_bert" else []),
        ("canary", f"logit {model['canary']['logit']:.4f}"),
        ("acceptance", acceptance(model)),
        *([("precision", precision(model["parity"]))] if "parity" in model else []),
        ("settings", ", ".join(f"{key}={value}" for key, value in built.manifest["settings"].items()) or "defaults"),
        ("members", f"{len(built.members)}, code/ last"),
    ]


def precision(parity: dict[str, Any]) -> str:
    """How the lower precision compared with fp32."""
    return (
        f"{parity['precision']}{'' if parity['passed'] else ', past the gate and forced'}: Kendall's tau "
        f"{parity['kendall_tau']:.4f}, nDCG@10 {parity['ndcg']:.4f} {parity['ndcg_change']:+.4f}, logits differ by "
        f"{parity['mean_difference']:.4f}, {parity['largest_difference']:.4f} at most ({parity['pairs']:,} pairs of "
        f"{parity['evaluation']})"
    )


def acceptance(model: dict[str, Any]) -> str:
    """How the model did on the published pairs."""
    if not model["acceptance"]["checked"]:
        return f"not checked: {model['acceptance']['reason']}"
    return ", ".join(
        f"{pair['logit']:.4f} (published {pair['published']:.4f})" for pair in model["acceptance"]["pairs"]
    )


def as_json(built: "BundleReport") -> dict[str, Any]:
    """The report for programs."""
    return {
        "path": str(built.path),
        "sha256": built.sha256,
        "size": built.size,
        "members": list(built.members),
        "left_out": list(built.left_out),
        "tokenizer": list(built.tokenizer),
        "manifest": built.manifest,
    }
