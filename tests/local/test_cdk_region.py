"""The region of the kit's calls is the region of the CDK CLI, asked of the real one."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from rerank_client import aws
from rerank_local.cdk_cli import VERSION, CdkFailed, ensure_cli, project_root
from rerank_local.state import without_aws

pytestmark = pytest.mark.e2e

SEEN = "import os; open('seen', 'w').write(os.environ.get('CDK_DEFAULT_REGION', '')); raise SystemExit(1)"
FILES = {
    "config": "[default]\nregion = sa-east-1\n[profile work]\nregion = eu-west-1\n[profile bare]\noutput = json\n",
    "credentials": "[work]\nregion = eu-west-2\n",
}


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-west-2"},
        {"AWS_REGION": "", "AWS_DEFAULT_REGION": "us-west-2"},
        {"AMAZON_REGION": "ca-central-1", "AWS_DEFAULT_REGION": "us-west-2"},
        {"AWS_PROFILE": "work", "AWS_DEFAULT_PROFILE": "bare"},
        {"AWS_DEFAULT_PROFILE": "work"},
        {"AWS_PROFILE": "bare"},
        {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull},
    ],
)
def test_the_kit_and_the_cdk_cli_take_the_same_region(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From variables, from either file, from profile default, and where nothing names one."""
    for name in set(os.environ) - set(without_aws(dict(os.environ))):
        monkeypatch.delenv(name)
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    here = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    for name, value in {**here, "AWS_EC2_METADATA_DISABLED": "true", **variables}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "app.py").write_text(SEEN)
    cli = ensure_cli(project_root(Path(__file__).parent), print)
    args = ["ls", "--app", f"{shutil.which(sys.executable)} app.py", "--no-notices"]
    with pytest.raises(CdkFailed):
        cli.run(args, env={**os.environ, "CDK_HOME": str(tmp_path)}, cwd=tmp_path, say=print)

    assert (tmp_path / "seen").read_text() == aws.region().value, VERSION
