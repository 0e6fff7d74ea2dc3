"""rerank transform start: what is uploaded and submitted."""

import gzip
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from tests.ops.transform.conftest import BUCKET

from rerank_ops import cli

Objects = Callable[[], dict[str, bytes]]


def test_start_uploads_and_submits_what_the_deployment_prescribes(
    requests_file: Path, capsys: pytest.CaptureFixture[str], objects: Objects
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


def test_a_folder_of_compressed_files_keeps_its_folders(tmp_path: Path, objects: Objects) -> None:
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
