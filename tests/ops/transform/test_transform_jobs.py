"""rerank transform follow, fetch, list, stop: what becomes of a job."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from tests.ops.transform.conftest import BUCKET

from rerank_ops import cli
from rerank_ops.aws import Aws
from rerank_ops.transform import jobs
from rerank_ops.transform.jobs import Job


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


@pytest.mark.parametrize(("written", "code"), [(3, 0), (2, 1), (1, 1), (4, 1)])
def test_fetch_fails_where_a_file_has_not_a_record_for_each_line(
    requests_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], written: int, code: int
) -> None:
    """A job that SageMaker calls Completed is held against its input, blank lines and all."""
    requests_file.write_bytes(b'{"query": "q", "documents": ["a"]}\r\n\n{"query": "q", "documents": ["a\x0c"]}')
    cli.main(["transform", "start", str(requests_file), "--name", "job-1"])
    boto3.client("s3").put_object(
        Bucket=BUCKET, Key="output/job-1/requests.jsonl.out", Body=b'{"results":[]}\n' * written
    )

    assert code == cli.main(["transform", "fetch", "job-1", "--to", str(tmp_path / "out")])
    said = f"requests.jsonl.out has {written} records for 3 lines of its input: records were lost."
    assert (said in capsys.readouterr().err) == bool(code)


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
    monkeypatch.setattr(jobs, "describe", lambda *_: Job("j", next(states), output_uri=f"s3://{BUCKET}/output/j"))
    shown: list[tuple[float | None, str]] = []
    put = iter(["a.out", "b.out"])

    def work(_: float) -> None:
        boto3.client("s3").put_object(Bucket=BUCKET, Key=f"output/j/{next(put)}", Body=b"{}")

    job = jobs.follow(None, boto3.client("s3"), "j", lambda f, n: shown.append((f, n)), objects=2, poll_s=0, sleep=work)

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
    names = {jobs.new_job_name("d" * 30) for _ in range(20)}

    assert all(jobs.re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name) for name in names)
    assert len(names) > 15


def test_waiting_is_short_on_this_machine_and_long_on_aws() -> None:
    """A local job takes a second, instances take minutes to start."""
    local = Aws(local_env={"AWS_ENDPOINT_URL": "http://127.0.0.1:5000"})

    assert jobs.poll_seconds(local) < 1 < 10 < jobs.poll_seconds(Aws())
