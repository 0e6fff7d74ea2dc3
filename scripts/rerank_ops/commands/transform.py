"""rerank transform: batch jobs over S3."""

import argparse
from pathlib import Path
from typing import Any

from rerank_ops import console
from rerank_ops.aws import Aws, aws_options
from rerank_ops.transform import inputs

EPILOG = """\
Each input line is one request, {"id": …, "query": "…", "documents": ["…", …]}, and gets one output line, in order.
A line that cannot be answered gets {"error": …, "status": …} in its place; the other lines are not affected.

examples:
  rerank transform start requests.jsonl --follow --fetch out/     upload, run, wait, download
  rerank transform start s3://bucket/prefix/ --instance-count 4   files already in S3, four instances
  rerank transform follow JOB                                     wait for a job
  rerank transform fetch JOB --to out/                            download what it wrote, count the errors
  rerank transform list                                           the deployment's latest jobs
"""


def add_parser(subparsers: Any) -> None:
    """Declares the command and its verbs."""
    parser = subparsers.add_parser(
        "transform",
        help="rerank files in S3 with a batch job",
        description="Batch transform jobs with a deployment's model; no endpoint is needed while they run.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    _add_start(verbs)
    for verb, summary in (
        ("follow", "wait for a job and show its progress"),
        ("fetch", "download a job's output and count its records"),
        ("stop", "stop a running job"),
    ):
        command = verbs.add_parser(verb, help=summary, description=summary.capitalize() + ".")
        command.add_argument("job", metavar="JOB", help="name of the job")
        if verb == "fetch":
            command.add_argument("--to", metavar="FOLDER", help="where to (default: ./JOB)")
        _common(command)
    command = verbs.add_parser("list", help="the deployment's latest jobs", description="The deployment's latest jobs.")
    command.add_argument("--deployment", default="sandbox", help="which deployment (default: sandbox)")
    command.add_argument("--most", type=console.at_least(1), default=10, help="how many (default: 10)")
    _common(command)


def run(args: argparse.Namespace) -> int:
    """Does the verb; 1 when the job it is about has failed or was stopped."""
    from rerank_ops import outputs
    from rerank_ops.transform import actions

    if args.verb == "start":
        outputs.check_folder(Path(args.fetch) if args.fetch else None, "--fetch")
        if not args.input.startswith("s3://"):
            inputs.local_files(Path(args.input))
    if args.verb == "fetch":
        outputs.check_folder(Path(args.to or args.job), "--to")
    aws = Aws.from_args(args)
    if args.verb == "start":
        return actions.start(aws, args)
    if args.verb == "follow":
        return actions.follow(aws, args.job, as_json=args.json)
    if args.verb == "fetch":
        return actions.fetch(aws, args.job, Path(args.to or args.job), as_json=args.json)
    if args.verb == "stop":
        return actions.stop(aws, args.job, as_json=args.json)
    return actions.show_recent(aws, args.deployment, args.most, as_json=args.json)


def _add_start(verbs: Any) -> None:
    start = verbs.add_parser(
        "start", help="start a job", description="Starts a job over a local file or folder, or over an s3:// prefix."
    )
    start.add_argument(
        "input", metavar="INPUT", help="JSON Lines file (.gz too), a folder of them, or s3://bucket/prefix"
    )
    start.add_argument("--deployment", default="sandbox", help="whose model and buckets (default: sandbox)")
    start.add_argument("--output", metavar="S3_URI", help="where to write (default: the deployment's batch bucket)")
    start.add_argument("--name", help="name of the job (default: made up)")
    start.add_argument("--follow", action="store_true", help="wait for the end")
    start.add_argument("--fetch", metavar="FOLDER", help="wait for the end, then download the output into FOLDER")
    job = start.add_argument_group("job")
    job.add_argument("--instance-type", help="default: the deployment's")
    job.add_argument("--instance-count", type=int, default=1, help="files are spread over them (default: 1)")
    job.add_argument(
        "--strategy", choices=("MultiRecord", "SingleRecord"), default="MultiRecord", help="default: MultiRecord"
    )
    job.add_argument("--max-payload-mb", type=int, help="largest request (default: the deployment's)")
    job.add_argument(
        "--max-concurrent", type=console.at_least(1), help="requests in flight per instance (default: the deployment's)"
    )
    job.add_argument("--timeout-s", type=console.at_least(1), help="of one request (default: the deployment's)")
    job.add_argument("--retries", type=int, default=3, help="of one request (default: 3)")
    job.add_argument("--join", action="store_true", help="write each answer beside its input, under SageMakerOutput")
    job.add_argument("--input-filter", default="$", metavar="JSONPATH", help="what of each record is sent (default: $)")
    job.add_argument(
        "--output-filter", default="$", metavar="JSONPATH", help="what of each output record is written (default: $)"
    )
    _common(start)


def _common(parser: argparse.ArgumentParser) -> None:
    console.json_option(parser)
    aws_options(parser)
