"""How transform jobs end: failed with a reason, stopped, and what of their output stays."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from rerank_local.data.errors import TransformRefused, UnknownJob


def eventually(condition: Callable[[], bool]) -> bool:
    tick = threading.Event()
    return any(condition() or tick.wait(0.02) for _ in range(500))


@pytest.mark.parametrize(
    "manifest", [b"[]", b"{}", b'[{"prefix": "s3://data/"}, 3]', b"nonsense", b'[{"prefix":"x"}, "a"]']
)
def test_a_manifest_of_another_form_fails_the_job(desk: Any, manifest: bytes) -> None:
    """The reason names the manifest; no container is started."""
    desk.put(m=manifest)
    view = desk.run("s3://data/m", data_type="ManifestFile")

    assert "Failed" == view.status
    assert "manifest s3://data/m" in str(view.failure_reason) or "not an S3 address" in str(view.failure_reason)
    assert not (view.log.parent / "container.log").exists()


def test_an_empty_prefix_fails_the_job_before_a_container_starts(desk: Any) -> None:
    """AWS's sentence about no objects."""
    view = desk.run("s3://data/nothing/")

    assert "Failed" == view.status
    assert str(view.failure_reason).startswith('ClientError: No S3 objects found under S3 URL "s3://data/nothing/"')
    assert not (view.log.parent / "container.log").exists()


def test_a_failing_record_costs_its_file_the_output_and_the_job_its_success(desk: Any) -> None:
    """Other files are written; the reason names file, record, status and the container's words."""
    desk.put(in__a=b"fine\n", in__bad=b"fine\nstatus:422\nfine\n", in__c=b"fine\n")
    view = desk.run(BatchStrategy="SingleRecord")

    assert {"a.out", "c.out"} == set(desk.out())
    assert ("Failed", 2, 1) == (view.status, view.files_done, view.files_failed)
    assert str(view.failure_reason).startswith(
        'ClientError: 1 of 3 input objects failed, the first with: 422 {"error": "no"} '
        "[record 2, after 1 attempts] (s3://data/in/bad)"
    )
    log = view.log.read_text()
    assert "MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=SINGLE_RECORD" in log
    assert "[sagemaker logs]: data/in/bad: ClientError: 422" in log


def test_failed_requests_are_repeated_as_often_as_asked(desk: Any) -> None:
    """InvocationsMaxRetries on top of the first; a process that died on the record is there again for the others."""
    desk.put(in__a=b"die\n", in__b=b"x\n")
    view = desk.run(ModelClientConfig={"InvocationsMaxRetries": 2})

    assert "after 3 attempts" in str(view.failure_reason)
    assert str(view.failure_reason).startswith("AlgorithmError:")


def test_a_request_without_answer_in_time_fails(desk: Any) -> None:
    """InvocationsTimeoutInSeconds is the limit of one request."""
    desk.put(in__a=b"slow:20\n")
    view = desk.run(ModelClientConfig={"InvocationsTimeoutInSeconds": 1, "InvocationsMaxRetries": 0})

    assert "Failed" == view.status
    assert "No answer from /invocations within 1 s" in str(view.failure_reason)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ('{"MaxConcurrentTransforms":50,"MaxPayloadInMB":6}', "50 * 6 = 300; SageMaker takes at most 100"),
        ('{"BatchStrategy":"MultiRecord"}', "not what SageMaker reads"),
        ("[]", "not what SageMaker reads"),
    ],
)
def test_parameters_that_cannot_be_used_fail_the_job(desk: Any, said: str, reason: str) -> None:
    """Instead of being clamped or ignored."""
    desk.put(in__a=b"x\n")
    view = desk.run(env={"FAKE_PARAMETERS": said})

    assert "Failed" == view.status
    assert reason in str(view.failure_reason)


def test_a_record_that_cannot_be_joined_fails_its_file(desk: Any) -> None:
    """Broken JSON in one file; the other file has its output."""
    desk.put(in__a=b'{"id":1}\n', in__b=b'{"id":1}\n{broken\n')
    view = desk.run(DataProcessing={"JoinSource": "Input"})

    assert {"a.out"} == set(desk.out())
    assert "'{broken' cannot be parsed for filtering or joining" in str(view.failure_reason)


def test_a_model_that_does_not_start_fails_the_job_with_its_log(desk: Any) -> None:
    """The traceback is in the reason, which stays within FailureReason's 1024 characters."""
    desk.put(in__a=b"x\n")
    view = desk.run(env={"FAKE_START": "no weights"})

    assert "Failed" == view.status
    assert "RuntimeError: cannot load the model: no weights" in str(view.failure_reason)
    assert len(str(view.failure_reason)) <= 1024


def test_a_stopped_job_ends_soon_and_keeps_what_is_written(desk: Any) -> None:
    """Stopping, then Stopped; the file under way gets no output."""
    desk.put(in__a=b"x\n", in__b=b"slow:20\n")
    desk.create()
    assert eventually(lambda: desk.jobs.view("job").files_done == 1)
    desk.jobs.stop("job")
    view = desk.jobs.wait("job", 10.0)
    desk.jobs.stop("job")

    assert ("Stopped", None) == (view.status, view.failure_reason)
    assert {"a.out"} == set(desk.out())
    assert ["InProgress", "Stopping", "Stopped"] == list(dict.fromkeys(seen.status for seen in desk.seen))


def test_jobs_have_unique_names_and_unknown_ones_are_errors(desk: Any) -> None:
    """A second job of the same name is refused, also after the first has ended."""
    desk.put(in__a=b"x\n")
    desk.run()
    with pytest.raises(TransformRefused, match="must be unique"):
        desk.create()
    with pytest.raises(UnknownJob, match="nobody"):
        desk.jobs.stop("nobody")


def test_an_output_bucket_that_is_not_there_fails_the_job(desk: Any) -> None:
    """The reason names where it could not be written."""
    desk.put(in__a=b"x\n")
    view = desk.run(output={"S3OutputPath": "s3://nowhere/out"})

    assert "s3://nowhere/out/a.out cannot be written" in str(view.failure_reason)
