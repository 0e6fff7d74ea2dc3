"""The verbs of `rerank transform`: what they do and say."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from rerank_ops import console
from rerank_ops.aws import Aws
from rerank_ops.errors import Refused
from rerank_ops.progress import meter
from rerank_ops.transform import inputs, jobs, outputs
from rerank_ops.transform.jobs import BatchSetup, Job
from rerank_ops.transform.request import TransformOptions, build_request

_MOST_FAULTS = 5


def start(aws: Aws, args: argparse.Namespace) -> int:
    """Checks, uploads, submits; follows and fetches if asked."""
    setup = BatchSetup.load(aws, args.deployment)
    name = args.name or jobs.new_job_name(args.deployment)
    options = _options(args, setup)
    output_uri = (args.output or f"{setup.output_uri}/{name}").rstrip("/")
    input_uri = args.input if args.input.startswith("s3://") else f"{setup.input_uri}/{name}"

    def request(options: TransformOptions) -> dict[str, Any]:
        return build_request(
            name,
            model_name=setup.model_name,
            input_uri=input_uri,
            output_uri=output_uri,
            options=options,
            kms_key_arn=setup.kms_key_arn,
            tags={"rerank:deployment": setup.deployment},
        )

    jobs.check(request(options))  # before anything is uploaded
    source = _source(aws, args.input, input_uri, setup, options)
    jobs.submit(aws.client("sagemaker"), request(replace(options, compression=source.compression)))
    console.talk(f"Started {name}: {source.objects} file(s) of {source.uri} on {options.instance_type}.")
    if args.fetch:
        code = follow(aws, name, objects=source.objects)
        return fetch(aws, name, Path(args.fetch), as_json=args.json, conclude=False) or code
    if args.follow:
        return follow(aws, name, objects=source.objects, as_json=args.json)
    console.emit({"job": name, "output": output_uri}) if args.json else print(name)
    return 0


def follow(aws: Aws, name: str, *, objects: int | None = None, as_json: bool | None = None) -> int:
    """Waits for the end. `as_json` None leaves stdout to the caller."""
    sagemaker, s3 = aws.client("sagemaker"), aws.client("s3")
    if objects is None:
        objects = inputs.look_up(s3, jobs.describe(sagemaker, name).input_uri).objects
    with meter(name) as report:
        job = jobs.follow(sagemaker, s3, name, report, objects=objects, poll_s=jobs.poll_seconds(aws))
    return _conclude(aws, job, as_json=as_json)


def fetch(aws: Aws, name: str, folder: Path, *, as_json: bool, conclude: bool = True) -> int:
    """Downloads the output and reports its records; then, unless told otherwise, how the job ended.

    A file with fewer or more records than its input has lines is an error, whatever SageMaker says of the job.
    """
    job = jobs.describe(aws.client("sagemaker"), name)
    s3 = aws.client("s3")
    files = outputs.download(s3, job.output_uri, folder)
    wrong = outputs.incomplete(s3, job.input_uri, files, compressed=job.compressed) if job.by_line else []
    errors = sum(file.errors for file in files)
    if as_json:
        listed = [
            {"name": f.name, "records": f.records, "errors": f.errors, "first_error": f.first_error} for f in files
        ]
        console.emit({"job": name, "status": job.status, "folder": str(folder), "files": listed, "incomplete": wrong})
    else:
        console.table(
            ("file", "records", "errors", "first error"), [(f.name, f.records, f.errors, f.first_error) for f in files]
        )
        records = sum(file.records for file in files)
        console.talk(f"{len(files)} file(s), {records:,} records, {errors:,} of them errors, in {folder}.")
    ended = _conclude(aws, job, as_json=None) if conclude else 0
    for text in wrong:
        console.error(f"{text}: records were lost.", "Do not use this file. The model has to answer a line for each.")
    return 1 if wrong else ended


def stop(aws: Aws, name: str, *, as_json: bool) -> int:
    """Asks SageMaker to stop the job."""
    sagemaker = aws.client("sagemaker")
    jobs.describe(sagemaker, name)
    sagemaker.stop_transform_job(TransformJobName=name)
    if as_json:
        console.emit({"job": name, "status": jobs.describe(sagemaker, name).status})
    console.talk(f"{name} is being stopped; files already written stay.")
    return 0


def show_recent(aws: Aws, deployment: str, most: int, *, as_json: bool) -> int:
    """The deployment's latest jobs."""
    latest = jobs.recent(aws.client("sagemaker"), deployment, most)
    if as_json:
        console.emit([{"job": job.name, "status": job.status, "created": job.created} for job in latest])
        return 0
    rows = [(job.name, job.status, f"{job.created:%Y-%m-%d %H:%M}" if job.created else None) for job in latest]
    console.table(("job", "status", "created"), rows)
    return 0


def _options(args: argparse.Namespace, setup: BatchSetup) -> TransformOptions:
    return TransformOptions(
        instance_type=args.instance_type or setup.instance_type,
        instance_count=args.instance_count,
        strategy=args.strategy,
        max_payload_mb=setup.max_payload_mb if args.max_payload_mb is None else args.max_payload_mb,
        max_concurrent=args.max_concurrent or setup.max_concurrent,
        timeout_s=args.timeout_s or setup.timeout_s,
        retries=args.retries,
        join=args.join,
        input_filter=args.input_filter,
        output_filter=args.output_filter,
    )


def _source(aws: Aws, given: str, input_uri: str, setup: BatchSetup, options: TransformOptions) -> inputs.Source:
    s3 = aws.client("s3")
    if given.startswith("s3://"):
        return inputs.look_up(s3, input_uri)
    path = Path(given)
    files = inputs.local_files(path)
    found = inputs.inspect(files)
    limit = options.max_payload_mb * 2**20
    if limit and found.longest_bytes > limit:
        raise Refused(
            f"The longest line has {found.longest_bytes:,} bytes; {options.max_payload_mb} MB allow {limit:,}.",
            tip="Raise --max-payload-mb (100 at most), or split the record's documents over several lines.",
        )
    if options.join and found.reserved:
        raise Refused(
            f"{found.reserved[0]}: the record has a key SageMakerOutput, which --join writes.", tip="Rename it."
        )
    if found.faults and (options.join or (options.input_filter, options.output_filter) != ("$", "$")):
        raise Refused(
            f"{found.faults[0]}. SageMaker parses every record to join or filter, and drops the whole file here.",
            tip="Mend the line, or leave out --join and the filters: its output will be an error then, in its place.",
        )
    for fault in found.faults[:_MOST_FAULTS]:
        console.warn(f"{fault}: its output will be an error.")
    if len(found.faults) > _MOST_FAULTS:
        console.warn(f"{len(found.faults) - _MOST_FAULTS:,} more such lines.")
    console.talk(f"Uploading {found.records:,} records in {len(files)} file(s) to {input_uri}.")
    return inputs.upload(s3, files, path, input_uri, setup.kms_key_arn)


def _conclude(aws: Aws, job: Job, *, as_json: bool | None) -> int:
    """Says how the job ended; its exit code."""
    if as_json:
        console.emit({"job": job.name, "status": job.status, "reason": job.failure_reason, "output": job.output_uri})
    elif as_json is False:
        print(job.output_uri)
    if job.status == "Failed":
        logs = "log group /aws/sagemaker/TransformJobs, streams that start with its name"
        tip = f"Its logs: {f'rerank local logs {job.name}' if aws.local else logs}"
        console.error(f"{job.name} failed: {job.failure_reason or 'SageMaker gives no reason'}", tip)
    elif job.status in jobs.FINAL:
        console.talk(f"{job.name}: {job.status}.")
    else:
        console.talk(f"{job.name}: {job.status}. Files appear as they are finished.")
    return 1 if job.status in {"Failed", "Stopped"} else 0
