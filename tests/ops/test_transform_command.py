"""rerank transform against moto's S3, SSM and SageMaker: what is uploaded, submitted, refused, fetched."""

import functools
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.loaders import create_loader
from moto import mock_aws

from rerank_ops import cli, transform_jobs
from rerank_ops.aws import Aws
from rerank_ops.local import control
from rerank_ops.transform_jobs import Job

REGION = "us-east-1"
BUCKET = "batch-bucket"
PARAMETERS = {
    "batch-model-name": "batch-model",
    "batch-input-uri": f"s3://{BUCKET}/input/",
    "batch-output-uri": f"s3://{BUCKET}/output/",
    "batch-instance-type": "ml.g4dn.xlarge",
    "endpoint-name": "rerank-sandbox",
}


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account in which `sandbox` is deployed."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_REGION", REGION)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    # every command has a session of its own, which would read SageMaker's service model (megabytes of JSON) again
    monkeypatch.setattr("botocore.session.create_loader", _loader)
    with mock_aws():
        control.install()  # other tests of this process may have: SageMaker checks what it is asked for either way
        image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/huggingface-pytorch-inference:cpu"
        boto3.client("sagemaker").create_model(
            ModelName="batch-model",
            ExecutionRoleArn="arn:aws:iam::123456789012:role/batch",
            PrimaryContainer={"Image": image},
        )
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
        ssm = boto3.client("ssm")
        for name, value in {**PARAMETERS, "kms-key-arn": key}.items():
            ssm.put_parameter(Name=f"/rerank/sandbox/{name}", Value=value, Type="String")
        yield


_loader = functools.cache(create_loader)


@pytest.fixture
def requests_file(tmp_path: Path) -> Path:
    path = tmp_path / "requests.jsonl"
    path.write_text("".join(json.dumps({"id": n, "query": "q", "documents": ["a"]}) + "\n" for n in range(3)))
    return path


def objects() -> dict[str, bytes]:
    s3 = boto3.client("s3")
    listed = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {item["Key"]: s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read() for item in listed}


def test_start_uploads_and_submits_what_the_deployment_prescribes(
    requests_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Model, buckets, key and instance type come from SSM; the job's name is all that stdout says."""
    code = cli.main(["transform", "start", str(requests_file), "--name", "job-1"])
    described = boto3.client("sagemaker").describe_transform_job(TransformJobName="job-1")

    assert (0, "job-1\n") == (code, capsys.readouterr().out)
    assert {"input/job-1/requests.jsonl": requests_file.read_bytes()} == objects()
    assert ("batch-model", "MultiRecord") == (described["ModelName"], described["BatchStrategy"])
    assert described["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"] == f"s3://{BUCKET}/input/job-1"
    assert described["TransformOutput"]["S3OutputPath"] == f"s3://{BUCKET}/output/job-1"
    assert described["TransformOutput"]["KmsKeyId"].startswith("arn:aws:kms:")
    assert described["TransformResources"]["InstanceType"] == "ml.g4dn.xlarge"


def test_the_upload_is_encrypted_with_the_deployments_key(requests_file: Path) -> None:
    """Not left to the bucket's default."""
    cli.main(["transform", "start", str(requests_file), "--name", "job-1"])
    head = boto3.client("s3").head_object(Bucket=BUCKET, Key="input/job-1/requests.jsonl")

    assert head["ServerSideEncryption"] == "aws:kms"


def test_a_folder_of_compressed_files_keeps_its_folders(tmp_path: Path) -> None:
    """All .gz: the job reads Gzip; other files stay at home."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "notes.md").write_text("not input")
    for name in ("a.jsonl.gz", "deep/b.jsonl.gz"):
        (tmp_path / "in" / name).write_bytes(gzip.compress(b'{"query": "q", "documents": ["a"]}\n'))
    cli.main(["transform", "start", str(tmp_path / "in"), "--name", "job-1"])
    described = boto3.client("sagemaker").describe_transform_job(TransformJobName="job-1")

    assert ["input/job-1/a.jsonl.gz", "input/job-1/deep/b.jsonl.gz"] == sorted(objects())
    assert described["TransformInput"]["CompressionType"] == "Gzip"


def test_lines_that_cannot_be_answered_are_told_before_the_job_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A warning each: the job still runs, their output will be errors."""
    path = tmp_path / "r.jsonl"
    path.write_text('{"query": "q", "documents": ["a"]}\nnot json\n\n[1]\n')
    code = cli.main(["transform", "start", str(path), "--name", "job-1"])
    said = capsys.readouterr().err

    assert code == 0
    assert "WARN r.jsonl:2: not JSON" in said
    assert "WARN r.jsonl:3: the line is empty" in said
    assert "WARN r.jsonl:4: not a JSON object" in said


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (
            ["--max-concurrent", "20", "--max-payload-mb", "6"],
            "20 concurrent requests x 6 MB: the product must be 1..100",
        ),
        (["--output-filter", "$" + "x" * 63], "OutputFilter"),
        (["--input-filter", "id"], "must start with $"),
        (["--instance-type", "ml.p5.48xlarge"], "batch transform does not offer it"),
        (["--instance-type", "g5.xlarge"], "does not read ml.<family>.<size>"),
        (["--instance-count", "0"], "0 instances: 1..100"),
        (["--name", "no_underscores"], "job name 'no_underscores'"),
        (["--output", "somewhere"], "must read s3://bucket/prefix"),
        (["--timeout-s", "4000"], "timeout must be 1..3600 s"),
    ],
)
def test_mistakes_are_refused_before_anything_is_uploaded(
    requests_file: Path, capsys: pytest.CaptureFixture[str], flags: list[str], reason: str
) -> None:
    """SageMaker would notice minutes later, or never."""
    code = cli.main(["transform", "start", str(requests_file), *flags])

    assert code == 1
    assert reason in capsys.readouterr().err
    assert {} == objects()


def test_a_line_longer_than_the_payload_limit_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No request could carry it."""
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({"query": "q", "documents": ["x" * 2**20]}) + "\n")

    assert cli.main(["transform", "start", str(path), "--max-payload-mb", "1"]) == 1
    assert "The longest line has" in capsys.readouterr().err


def test_joining_needs_its_key_free(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A record that has SageMakerOutput already cannot be joined."""
    path = tmp_path / "r.jsonl"
    path.write_text('{"query": "q", "documents": ["a"], "SageMakerOutput": 1}\n')

    assert cli.main(["transform", "start", str(path), "--join"]) == 1
    assert "r.jsonl:1: the record has a key SageMakerOutput" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--join"], ["--output-filter", "$.results"], ["--input-filter", "$['query']"]])
def test_joining_and_filtering_need_every_line_to_be_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    """SageMaker would drop the whole file at the first one that is not."""
    path = tmp_path / "r.jsonl"
    path.write_text('{"query": "q", "documents": ["a"]}\nnot json\n')

    assert cli.main(["transform", "start", str(path), *flags]) == 1
    assert "ERROR r.jsonl:2: not JSON" in capsys.readouterr().err
    assert {} == objects()


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({}, "No object under"),
        ({"data/": b""}, "'data/' is a folder marker"),
        ({"data/a.jsonl": b""}, "No object under"),
        ({"data/a.jsonl": b"{}", "data/b.jsonl.gz": b"x"}, "compressed and plain"),
    ],
)
def test_a_prefix_that_no_job_could_read_is_refused(
    keys: dict[str, bytes], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Looked at before the job is submitted."""
    for key, body in keys.items():
        boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)

    assert cli.main(["transform", "start", f"s3://{BUCKET}/data/"]) == 1
    assert reason in capsys.readouterr().err


def test_a_bucket_of_another_region_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """SageMaker reads its own region only."""
    there = {"LocationConstraint": "eu-west-1"}
    boto3.client("s3", region_name="eu-west-1").create_bucket(Bucket="far-away", CreateBucketConfiguration=there)

    assert cli.main(["transform", "start", "s3://far-away/data"]) == 1
    assert "is in eu-west-1; the job would run in us-east-1" in capsys.readouterr().err


def test_an_unknown_deployment_is_named(requests_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With where it was looked for and how to make it."""
    assert cli.main(["transform", "start", str(requests_file), "--deployment", "nowhere"]) == 1
    assert "No deployment 'nowhere'" in capsys.readouterr().err


def test_fetch_counts_errors_and_keeps_folders(
    requests_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Plain and joined error records are both errors."""
    cli.main(["transform", "start", str(requests_file), "--name", "job-1"])
    lines = [{"results": []}, {"error": "'query' is missing.", "status": 422}, {"SageMakerOutput": {"error": "x"}}]
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    s3 = boto3.client("s3")
    s3.put_object(Bucket=BUCKET, Key="output/job-1/deep/a.jsonl.out", Body=body)
    s3.put_object(Bucket=BUCKET, Key="output/job-10/b.jsonl.out", Body=b"another job's")
    capsys.readouterr()
    code = cli.main(["transform", "fetch", "job-1", "--to", str(tmp_path / "out"), "--json"])
    report = json.loads(capsys.readouterr().out)

    assert code == 0
    assert body == (tmp_path / "out" / "deep" / "a.jsonl.out").read_bytes()
    assert [{"name": "deep/a.jsonl.out", "records": 3, "errors": 2, "first_error": "'query' is missing."}] == report[
        "files"
    ]


def test_an_object_whose_name_leads_out_of_the_folder_is_refused(
    requests_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keys may hold anything; files may not land anywhere."""
    cli.main(["transform", "start", str(requests_file), "--name", "job-1"])
    boto3.client("s3").put_object(Bucket=BUCKET, Key="output/job-1/../../evil.out", Body=b"{}")

    assert cli.main(["transform", "fetch", "job-1", "--to", str(tmp_path / "out")]) == 1
    assert "outside the folder" in capsys.readouterr().err


def test_follow_ends_with_the_job(requests_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """moto's jobs are complete at once: exit code 0, output prefix on stdout."""
    cli.main(["transform", "start", str(requests_file), "--name", "job-1"])
    capsys.readouterr()

    assert cli.main(["transform", "follow", "job-1"]) == 0
    assert f"s3://{BUCKET}/output/job-1\n" == capsys.readouterr().out


def test_following_shows_files_as_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is the share of input files that have their output."""
    states = iter(["InProgress", "InProgress", "Failed"])
    monkeypatch.setattr(
        transform_jobs, "describe", lambda *_: Job("j", next(states), output_uri=f"s3://{BUCKET}/output/j")
    )
    shown: list[tuple[float | None, str]] = []
    put = iter(["a.out", "b.out"])

    def work(_: float) -> None:
        boto3.client("s3").put_object(Bucket=BUCKET, Key=f"output/j/{next(put)}", Body=b"{}")

    job = transform_jobs.follow(
        None, boto3.client("s3"), "j", lambda f, n: shown.append((f, n)), objects=2, poll_s=0, sleep=work
    )

    assert job.status == "Failed"
    assert [0.0, 0.5, 1.0] == [fraction for fraction, _ in shown]
    assert shown[-1][1] == "Failed, 2 of 2 files written"


@pytest.mark.parametrize("verb", ["follow", "fetch", "stop"])
def test_a_job_nobody_knows_is_named(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Not a stack trace, not a generic validation error."""
    assert cli.main(["transform", verb, "no-such-job"]) == 1
    assert "No transform job 'no-such-job'" in capsys.readouterr().err


def test_the_deployments_jobs_are_listed_newest_first(requests_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the prefix that names made up here have."""
    for name in ("rerank-sandbox-1", "rerank-sandbox-2", "someone-elses"):
        cli.main(["transform", "start", str(requests_file), "--name", name])
    capsys.readouterr()
    cli.main(["transform", "list", "--json"])
    listed: list[dict[str, Any]] = json.loads(capsys.readouterr().out)

    assert {"rerank-sandbox-1", "rerank-sandbox-2"} == {job["job"] for job in listed}


def test_job_names_are_accepted_by_sagemaker_and_never_repeat() -> None:
    """Even for the longest name a deployment may have."""
    names = {transform_jobs.new_job_name("d" * 30) for _ in range(20)}

    assert all(transform_jobs.re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name) for name in names)
    assert len(names) > 15


def test_waiting_is_short_on_this_machine_and_long_on_aws() -> None:
    """A local job takes a second, instances take minutes to start."""
    local = Aws(local_env={"AWS_ENDPOINT_URL": "http://127.0.0.1:5000"})

    assert transform_jobs.poll_seconds(local) < 1 < 10 < transform_jobs.poll_seconds(Aws())
