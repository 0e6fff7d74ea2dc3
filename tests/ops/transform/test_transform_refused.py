"""rerank transform start: what is refused before anything is uploaded."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from tests.ops.transform.conftest import BUCKET

from rerank_ops import cli

Objects = Callable[[], dict[str, bytes]]


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
    requests_file: Path, capsys: pytest.CaptureFixture[str], flags: list[str], reason: str, objects: Objects
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


def test_a_compressed_file_that_is_cut_short_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], objects: Objects
) -> None:
    """Before anything is uploaded."""
    path = tmp_path / "r.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"query": "q", "documents": ["a"]}\n')[:-9])

    assert cli.main(["transform", "start", str(path)]) == 1
    assert f"ERROR {path} is not a complete gzip file" in capsys.readouterr().err
    assert {} == objects()


@pytest.mark.parametrize(
    ("name", "content"),
    [("r.jsonl", gzip.compress(b"{}", mtime=0)), ("r.jsonl.gz", b"{}"), ("r.gz", b"")],
    ids=["compressed", "plain", "empty"],
)
def test_a_name_that_hides_compression_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes
) -> None:
    """The job would be told CompressionType by the name, and read garbage."""
    (tmp_path / name).write_bytes(content)

    assert 1 == cli.main(["transform", "start", str(tmp_path / name), "--name", "job-1"])
    assert "which its name does not say" in capsys.readouterr().err


def test_joining_needs_its_key_free(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A record that has SageMakerOutput already cannot be joined."""
    path = tmp_path / "r.jsonl"
    path.write_text('{"query": "q", "documents": ["a"], "SageMakerOutput": 1}\n')

    assert cli.main(["transform", "start", str(path), "--join"]) == 1
    assert "r.jsonl:1: the record has a key SageMakerOutput" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--join"], ["--output-filter", "$.results"], ["--input-filter", "$['query']"]])
def test_joining_and_filtering_need_every_line_to_be_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], objects: Objects
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
