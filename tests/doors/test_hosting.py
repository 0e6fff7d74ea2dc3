"""What SageMaker's environment says."""

import json
from pathlib import Path

import pytest

from rerank_engine.errors import CheckpointError, SettingsError
from rerank_engine.hosting import Hosting, read_settings
from rerank_engine.settings import Settings


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, Hosting()),
        ({"SAGEMAKER_BIND_TO_PORT": "9000", "SAGEMAKER_BASE_DIR": "/x"}, Hosting(port=9000, base_dir=Path("/x"))),
        ({"SAGEMAKER_BATCH": "true"}, Hosting(batch=True)),
        ({"SAGEMAKER_BATCH": "false"}, Hosting(batch=False)),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}, Hosting(max_payload_mb=0)),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "4"}, Hosting(workers=4)),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": ""}, Hosting(workers=None)),
    ],
)
def test_reads_the_environment(env: dict[str, str], expected: Hosting) -> None:
    """Port, folder, batch mode and workers come from AWS's variables, with AWS's defaults."""
    assert expected == Hosting.from_env(env)


@pytest.mark.parametrize("value", ["x", "-1", "8080.0"])
def test_refuses_what_is_no_number(value: str) -> None:
    """A port that is none is named."""
    with pytest.raises(SettingsError, match="SAGEMAKER_BIND_TO_PORT"):
        Hosting.from_env({"SAGEMAKER_BIND_TO_PORT": value})


def test_batch_jobs_have_their_own_limits() -> None:
    """In a batch job the payload limit and the deadline are the job's."""
    settings = Settings(max_body_bytes=2048, deadline_seconds=5.0)
    realtime, batch, unlimited = Hosting(), Hosting(batch=True), Hosting(batch=True, max_payload_mb=0)

    limits = [(one.max_body_bytes(settings), one.deadline_s(settings)) for one in (realtime, batch, unlimited)]

    assert [(2048, 5.0), (6 * 2**20, 3600.0), (2**30, 3600.0)] == limits


def test_the_environment_overrides_the_bundle(tmp_path: Path) -> None:
    """Settings packaged with the model hold until the deployment says otherwise."""
    packaged = {"RERANK_TOKEN_BUDGET": "4096", "RERANK_MAX_DOCUMENTS": "100"}
    (tmp_path / "bundle.json").write_text(json.dumps({"settings": packaged}))

    settings = read_settings({"RERANK_TOKEN_BUDGET": "1024", "PATH": "/bin"}, tmp_path)

    assert (1024, 100) == (settings.token_budget, settings.max_documents)


@pytest.mark.parametrize("text", ["{", "[]", '{"settings": [1]}'])
def test_a_damaged_manifest_is_an_error(tmp_path: Path, text: str) -> None:
    """A manifest that cannot be read is not taken for one without settings."""
    (tmp_path / "bundle.json").write_text(text)

    with pytest.raises(CheckpointError, match=r"bundle\.json"):
        read_settings({}, tmp_path)


def test_model_folder() -> None:
    """The setting wins over SageMaker's folder."""
    hosting = Hosting(base_dir=Path("/opt/ml"))

    folders = [hosting.model_dir(settings) for settings in (Settings(), Settings(model_dir="/m"))]

    assert [Path("/opt/ml/model"), Path("/m")] == folders
