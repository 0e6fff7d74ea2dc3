"""CreateTransformJob requests: what is refused before a job starts, and how outputs are named. Pure."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank_local.data.errors import TransformRefused
from rerank_local.data.transform.files import output_name
from rerank_local.data.transform.request import parse


def request(**changes: Any) -> dict[str, Any]:
    """A valid request; `source__X` and `output__X` change members of TransformInput and TransformOutput."""
    made: dict[str, Any] = {
        "TransformJobName": "job-1",
        "ModelName": "m",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in/"}},
            "ContentType": "application/jsonlines",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": "s3://b/out", "Accept": "application/jsonlines", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
    }
    for name, value in changes.items():
        part, _, member = name.rpartition("__")
        {"": made, "source": made["TransformInput"], "output": made["TransformOutput"]}[part][member] = value
    return made


JOIN = {"JoinSource": "Input"}
S3 = {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in/"}


def test_the_defaults_are_sagemakers() -> None:
    """600 s, three retries; limits stay open for the container to fill; absent and null members are the same."""
    parsed = parse(request(BatchStrategy=None, DataProcessing=None, Environment=None, MaxConcurrentTransforms=0))

    assert (600, 3) == (parsed.timeout_s, parsed.retries)
    assert (None, None, None) == (parsed.strategy, parsed.max_payload_mb, parsed.max_concurrent)
    assert {"SAGEMAKER_BATCH": "true"} == parsed.container_environment
    assert parsed.processing.idle


def test_zero_retries_and_an_unlimited_payload_are_kept() -> None:
    """0 is a value, not an absent one."""
    parsed = parse(request(ModelClientConfig={"InvocationsMaxRetries": 0}, MaxPayloadInMB=0))

    assert (0, 0) == (parsed.retries, parsed.max_payload_mb)
    assert "0" == parsed.container_environment["SAGEMAKER_MAX_PAYLOAD_IN_MB"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"TransformJobName": "a b"}, "TransformJobName 'a b'"),
        ({"TransformJobName": "a" * 64}, "TransformJobName"),
        ({"MaxConcurrentTransforms": 20, "MaxPayloadInMB": 6}, r"20 \* 6 = 120; SageMaker takes at most 100"),
        ({"MaxPayloadInMB": 101}, "MaxPayloadInMB is 101; .* 0 to 100"),
        ({"MaxConcurrentTransforms": -1}, "MaxConcurrentTransforms is -1; .* from 0 up"),
        ({"ModelClientConfig": {"InvocationsMaxRetries": 4}}, "InvocationsMaxRetries is 4"),
        ({"ModelClientConfig": {"InvocationsTimeoutInSeconds": 0}}, "InvocationsTimeoutInSeconds is 0"),
        ({"BatchStrategy": "Many"}, "BatchStrategy is 'Many'; SageMaker knows MultiRecord, SingleRecord"),
        ({"Environment": {str(n): "" for n in range(17)}}, "Environment has 17 entries"),
        ({"DataCaptureConfig": {"DestinationS3Uri": "s3://b"}}, "does not offer data capture"),
        ({"source__SplitType": "RecordIO"}, "does not offer RecordIO"),
        ({"source__SplitType": "TFRecord"}, "does not offer TFRecord"),
        ({"source__SplitType": "line"}, "SplitType is 'line'"),
        ({"source__CompressionType": "Zip"}, "CompressionType"),
        ({"source__DataSource": {"S3DataSource": {**S3, "S3DataType": "AugmentedManifestFile"}}}, "augmented"),
        ({"source__DataSource": {"S3DataSource": {**S3, "S3DataType": "Converse"}}}, "Converse"),
        ({"source__DataSource": {"S3DataSource": {**S3, "S3Uri": "b/in"}}}, "S3Uri: 'b/in' is not an S3 address"),
        ({"source__DataSource": {}}, "S3DataType is missing"),
        ({"output__S3OutputPath": ""}, "S3OutputPath: '' is not an S3 address"),
        ({"output__AssembleWith": "Comma"}, "AssembleWith"),
        ({"TransformResources": {"InstanceType": "ml.g5.xlarge", "VolumeKmsKeyId": "k"}}, "local storage"),
        ({"DataProcessing": {"InputFilter": "$." + "x" * 62}}, "64 characters"),
        ({"DataProcessing": {"OutputFilter": "$..id"}}, "JSONPath subset"),
        ({"DataProcessing": {"JoinSource": "Output"}}, "JoinSource"),
        ({"DataProcessing": JOIN, "source__ContentType": "text/plain"}, "ContentType to be one of"),
        ({"DataProcessing": JOIN, "output__Accept": None}, "Accept to be one of"),
        ({"DataProcessing": JOIN, "output__Accept": "text/csv"}, "ContentType and Accept alike"),
        ({"DataProcessing": JOIN, "output__AssembleWith": None}, "SplitType and AssembleWith alike"),
        (
            {"DataProcessing": JOIN, "source__SplitType": "None", "output__AssembleWith": "None"},
            "application/jsonlines needs SplitType Line",
        ),
        (
            {"DataProcessing": {"InputFilter": "$.a"}, "source__ContentType": "text/csv", "output__Accept": "text/csv"},
            "columns of text/csv have positions",
        ),
    ],
)
def test_what_aws_or_the_local_aws_does_not_take_is_refused(changes: dict[str, Any], message: str) -> None:
    """Before anything starts, naming the member and its value."""
    with pytest.raises(TransformRefused, match=message):
        parse(request(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"MaxConcurrentTransforms": 25, "MaxPayloadInMB": 4},
        {"DataProcessing": {"InputFilter": "$", "JoinSource": "None", "OutputFilter": "$"}, "output__Accept": None},
        {
            "DataProcessing": JOIN,
            "source__ContentType": "application/json",
            "output__Accept": "application/json",
            "source__SplitType": "None",
            "output__AssembleWith": "None",
        },
        {"DataProcessing": {"InputFilter": "$[1:]"}, "source__ContentType": "text/csv", "output__Accept": "text/csv"},
        {"output__KmsKeyId": "alias/k", "TransformResources": {"InstanceType": "ml.m5.large", "VolumeKmsKeyId": "k"}},
    ],
)
def test_what_aws_takes_is_taken(changes: dict[str, Any]) -> None:
    """Limits are inclusive, and filters that change nothing need no media types."""
    assert parse(request(**changes))


@pytest.mark.parametrize(
    ("key", "prefix", "name"),
    [
        ("in/a.jsonl", "in/", "a.jsonl.out"),
        ("in/a.jsonl", "in", "a.jsonl.out"),
        ("in/a.jsonl", "in/a.jsonl", "a.jsonl.out"),
        ("in/x/y/a", "in/x", "y/a.out"),
        ("in/part-1", "in/part-", "part-1.out"),
        ("inner/a", "in", "inner/a.out"),
        ("a", "", "a.out"),
        ("x/a", "", "x/a.out"),
    ],
)
def test_outputs_are_named_below_the_prefix(key: str, prefix: str, name: str) -> None:
    """As in AWS's own example, where the prefix's last folder is not repeated."""
    assert name == output_name(key, prefix)


@given(key=st.text("ab/.", min_size=1, max_size=12), data=st.data())
def test_every_key_has_a_relative_output(key: str, data: st.DataObject) -> None:
    """Whatever the prefix, the name is part of the key, ends in .out and is not empty before it."""
    prefix = key[: data.draw(st.integers(0, len(key)))]
    name = output_name(key, prefix)

    assert key.endswith(name.removesuffix(".out"))
    assert name.endswith(".out")
