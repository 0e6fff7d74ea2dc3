"""rerank train: a distill or finetune command as a SageMaker training job."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rerank_ops import console
from rerank_ops.aws import Aws, aws_options, deployment_parameters
from rerank_ops.errors import Missing, NotFound, Unfinished, Usage

if TYPE_CHECKING:
    from rerank_ops.training.job import JobOptions

ROOT = Path(__file__).resolve().parents[3]
POLL_S = 20
ENDED = ("Completed", "Failed", "Stopped")


def add_parser(subparsers: Any) -> None:
    """Declares the command."""
    parser = subparsers.add_parser(
        "train",
        help="run distill or finetune as a SageMaker training job",
        description="Upload data and source, and create the training job; on spot capacity it resumes by "
        "itself. Role, bucket and key come from the deployment's stacks unless they are given.",
        epilog="example: rerank train --deployment sandbox -- distill pairs.jsonl --output x --steps 20000",
    )
    parser.add_argument("--on", default="sagemaker", choices=("sagemaker",), help="where (default: sagemaker)")
    parser.add_argument("--deployment", default="sandbox", help="whose role and bucket (default: sandbox)")
    parser.add_argument("--role", metavar="ARN", help="role of the job (default: the deployment's training-role-arn)")
    parser.add_argument("--bucket", help="bucket for data and results (default: the deployment's batch bucket)")
    parser.add_argument("--instance-type", default="ml.g5.xlarge", help="default: %(default)s")
    parser.add_argument(
        "--image", metavar="URI", help="training container, which --role may pull (default: AWS's PyTorch 2.6.0)"
    )
    parser.add_argument("--on-demand", action="store_true", help="do not use spot capacity")
    parser.add_argument("--max-hours", type=float, default=4.0, metavar="H", help="longest training (default: 4)")
    parser.add_argument(
        "--name", dest="job_name", help="of the job; the same name resumes its checkpoints (default: rerank-TIME)"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the request; upload and create nothing")
    parser.add_argument("--wait", action="store_true", help="wait for the job to end")
    console.json_option(parser)
    parser.add_argument("run", nargs=argparse.REMAINDER, metavar="-- distill …", help="the command to run there")
    aws_options(parser)


def run(args: argparse.Namespace) -> int:
    """Submits (or prints) the job; returns 0."""
    from rerank_ops.training.job import CHECKPOINTS, DOOR, MODEL, container_arguments, source_archive, training_request
    from rerank_training.checkpoints import DEMO, checkpoint_folder

    if not (ROOT / DOOR).is_file():
        raise Missing(
            "`rerank train` needs a checkout of the kit: the job runs the training code of one.",
            tip="Clone the kit, install it there with pip install -e '.[ops,training]', and run this again.",
        )
    argv = [word for word in args.run if word != "--"]
    parsed = _parse(argv)
    if DEMO in (getattr(parsed, name, None) for name in ("checkpoint", "start", "teacher")):
        argv = _with_folder(argv, DEMO, str(checkpoint_folder(DEMO)))  # there is no checkout where the job runs
        parsed = _parse(argv)
    inputs = [*parsed.pairs, *parsed.exclude, *_given(parsed, "start", "tokenizer", "checkpoint"), *_teacher(parsed)]
    moved, files = container_arguments(argv, inputs)
    moved = _replaced(_replaced(moved, "--output", MODEL), "--work", CHECKPOINTS)
    for flag in ("--plot", "--save-teacher-scores"):  # what is written beside the state is kept in S3, too
        for path in _given(parsed, flag.removeprefix("--").replace("-", "_")):
            moved = _replaced(moved, flag, f"{CHECKPOINTS}/{path.name}")
    aws = Aws.from_args(args)
    job = _job(args, aws)
    request = training_request(job, moved)
    if args.dry_run:
        console.emit(request)
        return 0
    s3 = aws.client("s3")
    prefix = job.prefix.removeprefix(f"s3://{job.bucket}/")
    archive = source_archive(ROOT, packaged_teacher=getattr(parsed, "teacher", "") == "biencoder:packaged")
    s3.put_object(Bucket=job.bucket, Key=f"{prefix}/source/sourcedir.tar.gz", Body=archive)
    for path, name in files.items():
        for file in sorted(found for found in path.rglob("*") if found.is_file()) if path.is_dir() else [path]:
            inside = f"/{file.relative_to(path).as_posix()}" if path.is_dir() else ""
            console.talk(f"upload {file}")
            s3.upload_file(str(file), job.bucket, f"{prefix}/data/{name}{inside}")
    client = aws.client("sagemaker")
    client.create_training_job(**request)
    console.talk(
        f"Created training job {job.name}; its result will be {job.prefix}/output/{job.name}/output/model.tar.gz"
    )
    if args.wait:
        _wait(client, job.name)
    told = {"TrainingJobName": job.name, "Output": f"{job.prefix}/output/{job.name}/output/model.tar.gz"}
    if args.json:
        console.emit(told)
    else:
        console.table(("job", "output"), [tuple(told.values())])
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    from rerank_ops.commands import distill, finetune

    parser = argparse.ArgumentParser(prog="rerank train --")
    commands = parser.add_subparsers(dest="command", required=True)
    distill.add_parser(commands)
    finetune.add_parser(commands)
    if not argv or argv[0] not in commands.choices:
        raise Usage("Say what to train after --: distill or finetune with its flags.")
    return parser.parse_args(argv)


def _given(parsed: argparse.Namespace, *names: str) -> list[Path]:
    return [Path(value) for value in (getattr(parsed, name, None) for name in names) if value]


def _with_folder(argv: list[str], name: str, folder: str) -> list[str]:
    """`argv` with `folder` where it names a checkpoint `name`, but not where it names something else so."""
    others = ("--name", "--output", "--work", "--plot", "--save-teacher-scores")
    return [
        word.removesuffix(name) + folder
        if word in (f"--from={name}", f"--teacher={name}") or (word == name and before not in others)
        else word
        for before, word in zip(["", *argv], argv, strict=False)
    ]


def _teacher(parsed: argparse.Namespace) -> list[Path]:
    """The folder or file that the teacher is named with, if it is: it goes along."""
    path = Path(parsed.teacher.removeprefix("biencoder:").removeprefix("scores:"))
    return [path] if parsed.teacher != "bm25" and path.exists() else []


def _replaced(argv: list[str], flag: str, value: str) -> list[str]:
    """`argv` with `flag` set to `value`, however it was given before."""
    kept, skip = [], False
    for word in argv:
        if skip or word == flag or word.startswith(f"{flag}="):
            skip = word == flag
            continue
        kept.append(word)
    return [*kept, flag, value]


def _job(args: argparse.Namespace, aws: Aws) -> "JobOptions":
    from rerank_infra.image import TRAINING_REPOSITORY, aws_repository
    from rerank_ops.training.job import CPU_TAG, GPU_TAG, JobOptions

    region = aws.session().region_name or "us-east-1"
    published = {} if args.role and args.bucket else deployment_parameters(aws, args.deployment)
    role = args.role or published.get("training-role-arn")
    bucket = args.bucket or published.get("batch-input-uri", "").removeprefix("s3://").partition("/")[0]
    if not role:
        raise NotFound(
            f"Deployment {args.deployment!r} publishes no training role.",
            tip="Write [training] enabled = true into its file and deploy it again, or pass --role ARN.",
        )
    if not bucket:
        raise NotFound(f"Deployment {args.deployment!r} publishes no bucket.", tip="Pass --bucket NAME.")
    gpu = args.instance_type.startswith(("ml.g", "ml.p"))
    image = args.image or f"{aws_repository(TRAINING_REPOSITORY, region=region)[0]}:{GPU_TAG if gpu else CPU_TAG}"
    seconds = int(args.max_hours * 3600)
    return JobOptions(
        name=args.job_name or time.strftime("rerank-%Y%m%d-%H%M%S", time.gmtime()),
        role=role,
        image=image,
        bucket=bucket,
        instance_type=args.instance_type,
        spot=not args.on_demand,
        max_run_s=seconds,
        max_wait_s=2 * seconds,
        kms_key=published.get("kms-key-arn"),
        tags=(("rerank:deployment", args.deployment),),
    )


def _wait(client: Any, name: str) -> None:
    while True:
        found = client.describe_training_job(TrainingJobName=name)
        status = found["TrainingJobStatus"]
        console.talk(f"{name}: {status} · {found.get('SecondaryStatus', '')}")
        if status == "Completed":
            return
        if status in ENDED:
            raise Unfinished(f"Training job {name} ended as {status}: {found.get('FailureReason', 'no reason given')}.")
        time.sleep(POLL_S)
