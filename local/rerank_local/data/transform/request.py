"""A CreateTransformJob request, checked before anything starts: what AWS refuses, and what is not offered here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rerank_local.data.errors import BadFilter, InputFailed, TransformRefused
from rerank_local.data.s3 import bucket_and_key
from rerank_local.data.transform.join import MEDIA_TYPES, Processing

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
# Families with local NVMe, whose volumes take no key of their own (CreateTransformJob, VolumeKmsKeyId).
_LOCAL_STORAGE = re.compile(r"ml\.(g4dn|g5|g6|g6e|m5d|c5d|trn1)\.")
_NOT_OFFERED = {
    "DataCaptureConfig": "data capture",
    "SplitType RecordIO": "RecordIO records",
    "SplitType TFRecord": "TFRecord records",
    "S3DataType AugmentedManifestFile": "augmented manifests (nor on AWS, for transform jobs)",
    "S3DataType Converse": "Converse inputs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformRequest:
    """What a job was asked to do; None where the request says nothing.

    Attributes:
        max_concurrent, max_payload_mb, strategy: None is settled by the container's /execution-parameters, then by
            SageMaker's defaults.
        kms_key: encrypts the output objects (aws:kms).
    """

    name: str
    data_type: str
    uri: str
    content_type: str | None
    split_type: str | None
    gzip: bool
    output_uri: str
    accept: str | None
    assemble_with: str | None
    kms_key: str | None
    strategy: str | None
    max_payload_mb: int | None
    max_concurrent: int | None
    retries: int
    timeout_s: int
    environment: Mapping[str, str]
    processing: Processing

    @property
    def container_environment(self) -> dict[str, str]:
        """What SageMaker adds to the model's environment: each limit only if the request sets it."""
        strategies = {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}
        said = {
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": self.max_payload_mb,
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": self.max_concurrent,
            "SAGEMAKER_BATCH_STRATEGY": strategies[self.strategy] if self.strategy else None,
        }
        limits = {name: str(value) for name, value in said.items() if value is not None}
        return {"SAGEMAKER_BATCH": "true", **limits, **self.environment}


def parse(request: Mapping[str, Any]) -> TransformRequest:
    """The request, in the API's own casing, as values.

    Raises:
        TransformRefused: it breaks a rule of the API, or asks for something the local AWS does not offer.
    """
    source, output = request.get("TransformInput") or {}, request.get("TransformOutput") or {}
    data = (source.get("DataSource") or {}).get("S3DataSource") or {}
    client, processing = request.get("ModelClientConfig") or {}, request.get("DataProcessing") or {}
    name = str(request.get("TransformJobName") or "")
    _need(bool(_NAME.fullmatch(name)), f"TransformJobName {name!r} must match {_NAME.pattern}.")
    split = _choice(source, "SplitType", ("None", "Line"))
    data_type = _choice(data, "S3DataType", ("S3Prefix", "ManifestFile"))
    _need(data_type is not None, "TransformInput.DataSource.S3DataSource.S3DataType is missing.")
    _refuse_if(request.get("DataCaptureConfig"), "DataCaptureConfig")
    payload = _number(request, "MaxPayloadInMB", 0, 100)
    concurrent = _number(request, "MaxConcurrentTransforms", 0, None) or None  # 0: settled with the container
    if payload and concurrent:
        check_product(concurrent, payload)
    environment = request.get("Environment") or {}
    _need(len(environment) <= 16, f"Environment has {len(environment)} entries; SageMaker takes 16.")
    resources = request.get("TransformResources") or {}
    if resources.get("VolumeKmsKeyId") and _LOCAL_STORAGE.match(resources.get("InstanceType") or ""):
        raise TransformRefused(f"VolumeKmsKeyId cannot be used with {resources['InstanceType']}: it has local storage.")
    return TransformRequest(
        name=name,
        data_type=str(data_type),
        uri=_address(data, "S3Uri"),
        content_type=source.get("ContentType") or None,
        split_type=split,
        gzip=_choice(source, "CompressionType", ("None", "Gzip")) == "Gzip",
        output_uri=_address(output, "S3OutputPath"),
        accept=output.get("Accept") or None,
        assemble_with=_choice(output, "AssembleWith", ("None", "Line")),
        kms_key=output.get("KmsKeyId") or None,
        strategy=_choice(request, "BatchStrategy", ("MultiRecord", "SingleRecord")),
        max_payload_mb=payload,
        max_concurrent=concurrent,
        retries=_or(_number(client, "InvocationsMaxRetries", 0, 3), 3),
        timeout_s=_or(_number(client, "InvocationsTimeoutInSeconds", 1, 3600), 600),
        environment={str(key): str(value) for key, value in environment.items()},
        processing=_processing(processing, source, output),
    )


def check_product(concurrent: int, payload_mb: int) -> None:
    """TransformRefused unless MaxConcurrentTransforms * MaxPayloadInMB is at most 100."""
    _need(
        concurrent * payload_mb <= 100,
        f"MaxConcurrentTransforms * MaxPayloadInMB is {concurrent} * {payload_mb} = {concurrent * payload_mb}; "
        "SageMaker takes at most 100.",
    )


def _processing(processing: Mapping[str, Any], source: Mapping[str, Any], output: Mapping[str, Any]) -> Processing:
    join = _choice(processing, "JoinSource", ("None", "Input")) == "Input"
    content_type, accept = source.get("ContentType") or "", output.get("Accept") or ""
    split, assemble = source.get("SplitType") or "None", output.get("AssembleWith") or "None"
    try:
        done = Processing(
            input_filter=processing.get("InputFilter") or "$",
            output_filter=processing.get("OutputFilter") or "$",
            join=join,
            media_type=content_type or accept,
            by_line=split == "Line",
        )
    except BadFilter as error:
        raise TransformRefused(str(error), tip=error.tip) from error
    if done.idle:
        return done
    types = ", ".join(sorted(MEDIA_TYPES))
    if join or not done.input_filter.whole:
        _need(
            content_type in MEDIA_TYPES, f"DataProcessing needs ContentType to be one of {types}, not {content_type!r}."
        )
    if join or not done.output_filter.whole:
        _need(accept in MEDIA_TYPES, f"DataProcessing needs Accept to be one of {types}, not {accept!r}.")
    if join:
        _need(content_type == accept, f"JoinSource Input needs ContentType and Accept alike: {content_type}, {accept}.")
        _need(split == assemble, f"JoinSource Input needs SplitType and AssembleWith alike: {split}, {assemble}.")
    if content_type != "application/json" and content_type in MEDIA_TYPES:
        _need(split == "Line", f"DataProcessing of {content_type} needs SplitType Line, not {split}.")
        _need(assemble == "Line", f"DataProcessing of {content_type} needs AssembleWith Line, not {assemble}.")
    if content_type == "text/csv":
        for path in (done.input_filter, done.output_filter):
            _need(
                path.positional, f"The filter {path.text!r} names attributes; columns of text/csv have positions: $[0]."
            )
    return done


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise TransformRefused(message)


def _refuse_if(asked: Any, what: str) -> None:
    if asked:
        raise TransformRefused(f"{what}: the AWS on this machine does not offer {_NOT_OFFERED[what]}.")


def _choice(given: Mapping[str, Any], field: str, known: tuple[str, ...]) -> str | None:
    value = given.get(field)
    _refuse_if(f"{field} {value}" in _NOT_OFFERED, f"{field} {value}")
    _need(value in (None, "", *known), f"{field} is {value!r}; SageMaker knows {', '.join(known)}.")
    return value or None


def _number(given: Mapping[str, Any], field: str, low: int, high: int | None) -> int | None:
    value = given.get(field)
    if value is None:
        return None
    fits = isinstance(value, int) and value >= low and (high is None or value <= high)
    _need(fits, f"{field} is {value!r}; SageMaker takes whole numbers from {low} {f'to {high}' if high else 'up'}.")
    return int(value)


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _address(given: Mapping[str, Any], field: str) -> str:
    value = str(given.get(field) or "")
    try:
        bucket_and_key(value)
    except InputFailed as error:
        raise TransformRefused(f"{field}: {error}", tip=error.tip) from error
    return value
