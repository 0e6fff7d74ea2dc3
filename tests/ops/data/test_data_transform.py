"""Transform jobs over moto's S3 and a real process: what is read, sent, written, refused, and how jobs end."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from rerank_ops.local.data.errors import TransformRefused, UnknownJob
from rerank_ops.local.data.transform import TransformJobs
from rerank_ops.local.data.values import JobView

LINES = b'{"id":1}\n{"id":22}\n{"id":333}\n'


@dataclass
class Desk:
    """Jobs, the bucket `data` they work on, and what they announced."""

    jobs: TransformJobs
    s3: Any
    models: Any
    seen: list[JobView]

    def put(self, **objects: bytes) -> None:
        for key, body in objects.items():
            self.s3.put_object(Bucket="data", Key=key.replace("__", "/").replace("_DOT_", "."), Body=body)

    def out(self, prefix: str = "out/") -> dict[str, bytes]:
        found = self.s3.list_objects_v2(Bucket="data", Prefix=prefix).get("Contents", [])
        return {
            item["Key"].removeprefix(prefix): self.s3.get_object(Bucket="data", Key=item["Key"])["Body"].read()
            for item in found
        }

    def create(self, uri: str = "s3://data/in/", env: dict[str, str] | None = None, **changes: Any) -> JobView:
        request = {
            "TransformJobName": "job",
            "ModelName": "m",
            "ModelClientConfig": {"InvocationsMaxRetries": 0},
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": changes.pop("data_type", "S3Prefix"), "S3Uri": uri}},
                "ContentType": "application/jsonlines",
                "SplitType": "Line",
                **changes.pop("source", {}),
            },
            "TransformOutput": {
                "S3OutputPath": "s3://data/out",
                "Accept": "application/jsonlines",
                "AssembleWith": "Line",
                **changes.pop("output", {}),
            },
            "TransformResources": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
            **changes,
        }
        return self.jobs.create(request, self.models.variant(**(env or {})))

    def run(self, *args: Any, **changes: Any) -> JobView:
        view = self.create(*args, **changes)
        return self.jobs.wait(view.name, 30.0)


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """boto3's S3 client over moto."""
    with mock_aws():
        client = boto3.client(
            "s3", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
        )
        client.create_bucket(Bucket="data")
        yield client


@pytest.fixture
def desk(s3: Any, models: Any, tmp_path: Path) -> Iterator[Desk]:
    """An empty bucket and no job yet; jobs that still run at the end are stopped."""
    for item in s3.list_objects_v2(Bucket="data").get("Contents", []):
        s3.delete_object(Bucket="data", Key=item["Key"])
    seen: list[JobView] = []
    jobs = TransformJobs(models.fetch, lambda: s3, tmp_path, on_change=seen.append, care=models.care)
    yield Desk(jobs, s3, models, seen)
    jobs.stop_all()


def lengths(body: bytes) -> list[int]:
    return [json.loads(line)["length"] for line in body.splitlines()]


def eventually(condition: Callable[[], bool]) -> bool:
    tick = threading.Event()
    return any(condition() or tick.wait(0.02) for _ in range(500))


def test_every_object_under_the_prefix_gets_its_output_below_the_output_path(desk: Desk) -> None:
    """Nested keys keep their folders, folder markers are left out, order is kept, one answer per line."""
    desk.put(in__a_DOT_jsonl=LINES, in__sub__deep__b_DOT_jsonl=b"x\ny", in__sub__=b"", other=b"no")
    view = desk.run()

    assert ("Completed", None) == (view.status, view.failure_reason)
    assert {"a.jsonl.out": [8, 9, 10], "sub/deep/b.jsonl.out": [1, 1]} == {k: lengths(v) for k, v in desk.out().items()}
    assert (2, 2, 0, 5) == (view.files_total, view.files_done, view.files_failed, view.records)
    assert ("MultiRecord", 6, 1) == (view.batch_strategy, view.max_payload_mb, view.max_concurrent)
    assert view.end_time is not None
    assert view.end_time >= view.start_time  # type: ignore[operator]
    assert ["InProgress", "Completed"] == list(dict.fromkeys(seen.status for seen in desk.seen))


def test_a_response_is_ended_by_a_newline_only_if_assembled_by_line(desk: Desk) -> None:
    """AssembleWith Line adds one newline per response; None adds nothing."""
    desk.put(in__a=b"x\ny\n")
    desk.run(BatchStrategy="SingleRecord")
    by_line = desk.out()["a.out"]
    desk.run(TransformJobName="plain", BatchStrategy="SingleRecord", output={"AssembleWith": "None"})

    assert b"".join(line + b"\n" for line in desk.out()["a.out"].replace(b"}{", b"}\n{").split(b"\n")) == by_line
    assert 0 == desk.out()["a.out"].count(b"\n")


@pytest.mark.parametrize(
    ("uri", "keys"),
    [
        ("s3://data/in", {"a.out", "sub/b.out"}),
        ("s3://data/in/a", {"a.out"}),
        ("s3://data/in/su", {"sub/b.out"}),
        ("s3://data/in/sub", {"b.out"}),
        ("https://s3.us-east-1.amazonaws.com/data/in/", {"a.out", "sub/b.out"}),
        ("s3://data", {"in/a.out", "in/sub/b.out"}),
    ],
)
def test_output_keys_are_relative_to_the_prefix(desk: Desk, uri: str, keys: set[str]) -> None:
    """The prefix's own folder is not repeated; a prefix within a name counts up to its last slash."""
    desk.put(in__a=b"x", in__sub__b=b"y")
    desk.run(uri, output={"S3OutputPath": "s3://data/out/"})

    assert keys == set(desk.out())


def test_a_manifest_names_the_files(desk: Desk) -> None:
    """Its prefix and names make the inputs; outputs are named after the names."""
    desk.put(set__x__a=b"1\n", set__b=b"22\n", set__c=b"no\n")
    desk.put(list_DOT_manifest=json.dumps([{"prefix": "s3://data/set/"}, "x/a", "b"]).encode())
    view = desk.run("s3://data/list.manifest", data_type="ManifestFile")

    assert "Completed" == view.status
    assert {"x/a.out": [1], "b.out": [2]} == {k: lengths(v) for k, v in desk.out().items()}


@pytest.mark.parametrize(
    "manifest", [b"[]", b"{}", b'[{"prefix": "s3://data/"}, 3]', b"nonsense", b'[{"prefix":"x"}, "a"]']
)
def test_a_manifest_of_another_form_fails_the_job(desk: Desk, manifest: bytes) -> None:
    """The reason names the manifest; no container is started."""
    desk.put(m=manifest)
    view = desk.run("s3://data/m", data_type="ManifestFile")

    assert "Failed" == view.status
    assert "manifest s3://data/m" in str(view.failure_reason) or "not an S3 address" in str(view.failure_reason)
    assert not (view.log.parent / "container.log").exists()


def test_an_empty_prefix_fails_the_job_before_a_container_starts(desk: Desk) -> None:
    """AWS's sentence about no objects."""
    view = desk.run("s3://data/nothing/")

    assert "Failed" == view.status
    assert str(view.failure_reason).startswith('ClientError: No S3 objects found under S3 URL "s3://data/nothing/"')
    assert not (view.log.parent / "container.log").exists()


def test_gzip_inputs_are_unpacked(desk: Desk) -> None:
    """The container sees the content; the output is not compressed."""
    desk.put(in__a_DOT_gz=gzip.compress(LINES))
    desk.run(source={"CompressionType": "Gzip"})

    assert [8, 9, 10] == lengths(desk.out()["a.gz.out"])


def test_parallel_payloads_come_back_in_order(desk: Desk) -> None:
    """A slow first payload does not let the second overtake it in the output."""
    desk.put(in__a=b"slow:0.4\nab\nabc\nslow:0.2\nabcd\n")
    view = desk.run(MaxConcurrentTransforms=4, BatchStrategy="SingleRecord")

    answers = desk.out()["a.out"].splitlines()
    assert [b"late", 2, 3, b"late", 4] == [a if a == b"late" else json.loads(a)["length"] for a in answers]
    assert 4 == view.max_concurrent


def test_a_failing_record_costs_its_file_the_output_and_the_job_its_success(desk: Desk) -> None:
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


def test_failed_requests_are_repeated_as_often_as_asked(desk: Desk) -> None:
    """InvocationsMaxRetries on top of the first; a process that died on the record is there again for the others."""
    desk.put(in__a=b"die\n", in__b=b"x\n")
    view = desk.run(ModelClientConfig={"InvocationsMaxRetries": 2})

    assert "after 3 attempts" in str(view.failure_reason)
    assert str(view.failure_reason).startswith("AlgorithmError:")


def test_a_request_without_answer_in_time_fails(desk: Desk) -> None:
    """InvocationsTimeoutInSeconds is the limit of one request."""
    desk.put(in__a=b"slow:20\n")
    view = desk.run(ModelClientConfig={"InvocationsTimeoutInSeconds": 1, "InvocationsMaxRetries": 0})

    assert "Failed" == view.status
    assert "No answer from /invocations within 1 s" in str(view.failure_reason)


def test_the_container_sees_batch_mode_and_only_the_limits_that_were_set(desk: Desk) -> None:
    """SAGEMAKER_BATCH always; each limit if the request has it; the job's Environment over the model's."""
    desk.put(in__a=b"env")
    source = {"SplitType": "None"}
    desk.run(source=source, Environment={"FAKE_NAME": "job's"}, env={"KEPT": "yes"})
    bare = json.loads(desk.out()["a.out"])
    desk.run(
        source=source,
        TransformJobName="full",
        MaxPayloadInMB=5,
        MaxConcurrentTransforms=2,
        BatchStrategy="SingleRecord",
    )
    full = json.loads(desk.out()["a.out"])

    assert ("true", "job's", "yes") == (bare["SAGEMAKER_BATCH"], bare["FAKE_NAME"], bare["KEPT"])
    own = {"SAGEMAKER_BASE_DIR", "SAGEMAKER_BIND_TO_PORT", "SAGEMAKER_BATCH"}
    assert own == {name for name in bare if name.startswith("SAGEMAKER_")}
    assert {
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "5",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "2",
        "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
    } == {name: full[name] for name in full if name.startswith("SAGEMAKER_") and name not in own}


def test_the_containers_parameters_fill_what_the_request_leaves_open(desk: Desk) -> None:
    """Request, then /execution-parameters, then defaults."""
    desk.put(in__a=b"x\ny\n")
    said = '{"MaxConcurrentTransforms":3,"BatchStrategy":"SINGLE_RECORD","MaxPayloadInMB":7}'
    view = desk.run(MaxPayloadInMB=2, env={"FAKE_PARAMETERS": said})

    assert ("SingleRecord", 2, 3) == (view.batch_strategy, view.max_payload_mb, view.max_concurrent)
    assert 2 == desk.out()["a.out"].count(b"length")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ('{"MaxConcurrentTransforms":50,"MaxPayloadInMB":6}', "50 * 6 = 300; SageMaker takes at most 100"),
        ('{"BatchStrategy":"MultiRecord"}', "not what SageMaker reads"),
        ("[]", "not what SageMaker reads"),
    ],
)
def test_parameters_that_cannot_be_used_fail_the_job(desk: Desk, said: str, reason: str) -> None:
    """Instead of being clamped or ignored."""
    desk.put(in__a=b"x\n")
    view = desk.run(env={"FAKE_PARAMETERS": said})

    assert "Failed" == view.status
    assert reason in str(view.failure_reason)


def test_records_are_filtered_joined_and_filtered_again(desk: Desk) -> None:
    """The guide's example: the id is kept out of the request and comes back beside the result, one line per record."""
    desk.put(in__a=b'{"id":"p","q":"abc"}\n{"id":"q","q":"abcde"}\n')
    view = desk.run(
        DataProcessing={"InputFilter": "$.q", "JoinSource": "Input", "OutputFilter": "$['id','SageMakerOutput']"}
    )

    assert "Completed" == view.status
    assert [("p", 5), ("q", 7)] == [
        (line["id"], line["SageMakerOutput"]["length"]) for line in map(json.loads, desk.out()["a.out"].splitlines())
    ]


def test_a_record_that_cannot_be_joined_fails_its_file(desk: Desk) -> None:
    """Broken JSON in one file; the other file has its output."""
    desk.put(in__a=b'{"id":1}\n', in__b=b'{"id":1}\n{broken\n')
    view = desk.run(DataProcessing={"JoinSource": "Input"})

    assert {"a.out"} == set(desk.out())
    assert "'{broken' cannot be parsed for filtering or joining" in str(view.failure_reason)


def test_outputs_are_encrypted_with_the_key_that_is_asked_for(desk: Desk) -> None:
    """KmsKeyId becomes the object's server-side encryption."""
    desk.put(in__a=b"x\n")
    desk.run(output={"KmsKeyId": "alias/mine"})
    head = desk.s3.head_object(Bucket="data", Key="out/a.out")

    assert ("aws:kms", "alias/mine") == (head["ServerSideEncryption"], head["SSEKMSKeyId"])


def test_a_model_that_does_not_start_fails_the_job_with_its_log(desk: Desk) -> None:
    """The traceback is in the reason, which stays within FailureReason's 1024 characters."""
    desk.put(in__a=b"x\n")
    view = desk.run(env={"FAKE_START": "no weights"})

    assert "Failed" == view.status
    assert "RuntimeError: cannot load the model: no weights" in str(view.failure_reason)
    assert len(str(view.failure_reason)) <= 1024


def test_a_stopped_job_ends_soon_and_keeps_what_is_written(desk: Desk) -> None:
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


def test_jobs_have_unique_names_and_unknown_ones_are_errors(desk: Desk) -> None:
    """A second job of the same name is refused, also after the first has ended."""
    desk.put(in__a=b"x\n")
    desk.run()
    with pytest.raises(TransformRefused, match="must be unique"):
        desk.create()
    with pytest.raises(UnknownJob, match="nobody"):
        desk.jobs.stop("nobody")


def test_an_output_bucket_that_is_not_there_fails_the_job(desk: Desk) -> None:
    """The reason names where it could not be written."""
    desk.put(in__a=b"x\n")
    view = desk.run(output={"S3OutputPath": "s3://nowhere/out"})

    assert "s3://nowhere/out/a.out cannot be written" in str(view.failure_reason)
