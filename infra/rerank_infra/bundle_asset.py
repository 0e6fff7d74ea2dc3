"""The model.tar.gz, uploaded by `cdk deploy` under its own hash.

`aws_s3_assets.Asset` would publish it as `<hash>.gz`, and SageMaker asks for `.tar.gz`. The synthesizer's key is the
source hash and the file's last extension, so the source hash `<sha256>.tar` makes `<sha256>.tar.gz`: a new bundle is
a new key, which is what makes CloudFormation replace the model.
"""

import hashlib
from pathlib import Path

import aws_cdk as cdk
from constructs import Construct

from rerank_infra.errors import BundleMissing

_GZIP_MAGIC = b"\x1f\x8b"
_BUILD_ONE = (
    "`rerank package SOURCE` builds one; -c bundle=PATH, or bundle.path in the TOML, names another. "
    "`cdk destroy` reads it too: any bundle will do there."
)


class BundleAsset(Construct):
    """A bundle in the bootstrap bucket.

    Attributes:
        sha256: digest of the file, in hex.
        url: s3:// address.
        object_arn: the one object a role may read.

    Raises:
        BundleMissing: there is no such file, or it is not a gzip archive.
    """

    def __init__(self, scope: Construct, construct_id: str, *, path: Path) -> None:
        super().__init__(scope, construct_id)
        self.sha256 = digest(path)
        location = cdk.Stack.of(self).synthesizer.add_file_asset(
            source_hash=f"{self.sha256}.tar",
            file_name=str(path.resolve()),
            packaging=cdk.FileAssetPackaging.FILE,
        )
        self.url = location.s3_object_url
        self.object_arn = f"arn:{cdk.Aws.PARTITION}:s3:::{location.bucket_name}/{location.object_key}"


def digest(path: Path) -> str:
    """SHA-256 of the bundle at `path`, in hex.

    Raises:
        BundleMissing: there is no such file, or it is not a gzip archive.
    """
    if not path.is_file():
        raise BundleMissing(f"bundle.path has value {str(path)!r}. There is no such file.", tip=_BUILD_ONE)
    with path.open("rb") as file:
        if file.read(2) != _GZIP_MAGIC:
            raise BundleMissing(f"bundle.path has value {str(path)!r}. It is not a gzip archive.", tip=_BUILD_ONE)
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()
