"""Transform jobs over moto's S3 and a real process: what is read, sent and written."""

import gzip
import json
from typing import Any

import pytest

LINES = b'{"id":1}\n{"id":22}\n{"id":333}\n'


def lengths(body: bytes) -> list[int]:
    return [json.loads(line)["length"] for line in body.splitlines()]


def test_every_object_under_the_prefix_gets_its_output_below_the_output_path(desk: Any) -> None:
    """Nested keys keep their folders, folder markers are left out, order is kept, one answer per line."""
    desk.put(in__a_DOT_jsonl=LINES, in__sub__deep__b_DOT_jsonl=b"x\ny", in__sub__=b"", other=b"no")
    view = desk.run()

    assert ("Completed", None) == (view.status, view.failure_reason)
    assert {"a.jsonl.out": [8, 9, 10], "sub/deep/b.jsonl.out": [1, 1]} == {k: lengths(v) for k, v in desk.out().items()}
    assert (2, 2, 0, 5) == (view.files_total, view.files_done, view.files_failed, view.records)
    assert ("MultiRecord", 6, 1) == (view.batch_strategy, view.max_payload_mb, view.max_concurrent)
    assert view.end_time is not None
    assert view.end_time >= view.start_time
    assert ["InProgress", "Completed"] == list(dict.fromkeys(seen.status for seen in desk.seen))


def test_a_response_is_ended_by_a_newline_only_if_assembled_by_line(desk: Any) -> None:
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
def test_output_keys_are_relative_to_the_prefix(desk: Any, uri: str, keys: set[str]) -> None:
    """The prefix's own folder is not repeated; a prefix within a name counts up to its last slash."""
    desk.put(in__a=b"x", in__sub__b=b"y")
    desk.run(uri, output={"S3OutputPath": "s3://data/out/"})

    assert keys == set(desk.out())


def test_a_manifest_names_the_files(desk: Any) -> None:
    """Its prefix and names make the inputs; outputs are named after the names."""
    desk.put(set__x__a=b"1\n", set__b=b"22\n", set__c=b"no\n")
    desk.put(list_DOT_manifest=json.dumps([{"prefix": "s3://data/set/"}, "x/a", "b"]).encode())
    view = desk.run("s3://data/list.manifest", data_type="ManifestFile")

    assert "Completed" == view.status
    assert {"x/a.out": [1], "b.out": [2]} == {k: lengths(v) for k, v in desk.out().items()}


def test_gzip_inputs_are_unpacked(desk: Any) -> None:
    """The container sees the content; the output is not compressed."""
    desk.put(in__a_DOT_gz=gzip.compress(LINES))
    desk.run(source={"CompressionType": "Gzip"})

    assert [8, 9, 10] == lengths(desk.out()["a.gz.out"])


def test_parallel_payloads_come_back_in_order(desk: Any) -> None:
    """A slow first payload does not let the second overtake it in the output."""
    desk.put(in__a=b"slow:0.4\nab\nabc\nslow:0.2\nabcd\n")
    view = desk.run(MaxConcurrentTransforms=4, BatchStrategy="SingleRecord")

    answers = desk.out()["a.out"].splitlines()
    assert [b"late", 2, 3, b"late", 4] == [a if a == b"late" else json.loads(a)["length"] for a in answers]
    assert 4 == view.max_concurrent


def test_the_container_sees_batch_mode_and_only_the_limits_that_were_set(desk: Any) -> None:
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


def test_the_containers_parameters_fill_what_the_request_leaves_open(desk: Any) -> None:
    """Request, then /execution-parameters, then defaults."""
    desk.put(in__a=b"x\ny\n")
    said = '{"MaxConcurrentTransforms":3,"BatchStrategy":"SINGLE_RECORD","MaxPayloadInMB":7}'
    view = desk.run(MaxPayloadInMB=2, env={"FAKE_PARAMETERS": said})

    assert ("SingleRecord", 2, 3) == (view.batch_strategy, view.max_payload_mb, view.max_concurrent)
    assert 2 == desk.out()["a.out"].count(b"length")


def test_records_are_filtered_joined_and_filtered_again(desk: Any) -> None:
    """The guide's example: the id is kept out of the request and comes back beside the result, one line per record."""
    desk.put(in__a=b'{"id":"p","q":"abc"}\n{"id":"q","q":"abcde"}\n')
    view = desk.run(
        DataProcessing={"InputFilter": "$.q", "JoinSource": "Input", "OutputFilter": "$['id','SageMakerOutput']"}
    )

    assert "Completed" == view.status
    assert [("p", 5), ("q", 7)] == [
        (line["id"], line["SageMakerOutput"]["length"]) for line in map(json.loads, desk.out()["a.out"].splitlines())
    ]


def test_outputs_are_encrypted_with_the_key_that_is_asked_for(desk: Any) -> None:
    """KmsKeyId becomes the object's server-side encryption."""
    desk.put(in__a=b"x\n")
    desk.run(output={"KmsKeyId": "alias/mine"})
    head = desk.s3.head_object(Bucket="data", Key="out/a.out")

    assert ("aws:kms", "alias/mine") == (head["ServerSideEncryption"], head["SSEKMSKeyId"])
