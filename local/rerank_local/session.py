"""boto3 against the AWS on this machine: sessions and clients that see nothing of the user's own."""

import os
from typing import Any


def client(env: dict[str, str], service: str) -> Any:
    """A client of the local AWS; without a proxy, because the address is this machine's.

    Args:
        env: the environment of the local AWS.
        service: as boto3 names it.
    """
    from botocore.config import Config

    session = local_session(env, env["AWS_REGION"])
    return session.client(service, endpoint_url=env["AWS_ENDPOINT_URL"], config=Config(proxies={}))


def local_session(env: dict[str, str], region: str | None) -> Any:
    """A boto3 session of the local AWS that reads no variable and no file of the user's: see botocore's variables.

    Args:
        env: the environment of the local AWS.
        region: the region's name.
    """
    import boto3
    import botocore.session

    variables = {
        name: (key, None, default, convert)
        for name, (key, _, default, convert) in botocore.session.Session.SESSION_VARIABLES.items()
    }
    files = dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
    return boto3.session.Session(
        botocore_session=botocore.session.Session(session_vars=variables | files),
        region_name=region,
        aws_access_key_id=env.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=env.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=env.get("AWS_SESSION_TOKEN"),
    )
