"""Which profile, region and endpoint a call goes to: the rule of the CDK CLI, for every call of this kit.

boto3 reads AWS_DEFAULT_REGION and no AWS_REGION, and prefers AWS_DEFAULT_PROFILE to AWS_PROFILE; the CDK CLI does the
opposite. Whoever follows boto3 deploys in one region and calls in another. In the CDK CLI's order:

profile    as given; AWS_PROFILE; AWS_DEFAULT_PROFILE; "default"
region     as given; AWS_REGION; AMAZON_REGION; AWS_DEFAULT_REGION; AMAZON_DEFAULT_REGION; the profile in the
           credentials file, then in the config file; profile "default" in both; on EC2 the instance's; us-east-1
endpoint   AWS_ENDPOINT_URL_<SERVICE>; AWS_ENDPOINT_URL; the profile's services section; the profile's endpoint_url;
           none of them if AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is true; here boto3 and the CDK agree

An empty variable counts as none. https://github.com/aws/aws-cdk-cli: toolkit-lib, awscli-compatible.ts
"""

import os
from dataclasses import dataclass
from typing import Any

from rerank_client import metadata

DEFAULT_REGION = "us-east-1"
PROFILE_VARIABLES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
REGION_VARIABLES = ("AWS_REGION", "AMAZON_REGION", "AWS_DEFAULT_REGION", "AMAZON_DEFAULT_REGION")
IGNORE_ENDPOINTS = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
GIVEN = "as given"
NOTHING = "nothing names one"


@dataclass(frozen=True, slots=True)
class Setting:
    """A value in force, and where it came from.

    Attributes:
        value: the value; None is AWS's own endpoint.
        source: the variable, file or default it came from.
    """

    value: str | None
    source: str


def profile(given: str | None = None) -> Setting:
    """The profile whose keys and settings count; keys in the environment go before those of a profile not given."""
    if given:
        return Setting(given, GIVEN)
    return _variable(*PROFILE_VARIABLES) or Setting("default", NOTHING)


def region(given: str | None = None, *, profile_name: str | None = None) -> Setting:
    """The region of calls; `DEFAULT_REGION` from `NOTHING` where nobody names one.

    Args:
        given: an argument or flag, which goes before everything else.
        profile_name: profile as given to `profile`.
    """
    if given:
        return Setting(given, GIVEN)
    return (
        _variable(*REGION_VARIABLES)
        or _region_of_files(str(profile(profile_name).value))
        or _region_of_instance()
        or Setting(DEFAULT_REGION, NOTHING)
    )


def endpoint(service: str, *, profile_name: str | None = None) -> Setting:
    """The URL that calls of a service go to instead of AWS, as boto3's client has it; None is AWS's own.

    Args:
        service: boto3's name of the service, such as "sagemaker-runtime".
        profile_name: profile as given to `profile`.
    """
    from botocore.utils import CLIENT_NAME_TO_HYPHENIZED_SERVICE_ID_OVERRIDES as SERVICE_IDS

    name = str(profile(profile_name).value)
    config, credentials = _files()
    settings = config["profiles"].get(name, {}) | credentials.get(name, {})
    if (os.environ.get(IGNORE_ENDPOINTS) or str(settings.get(IGNORE_ENDPOINTS[4:].lower(), ""))).lower() == "true":
        return Setting(None, f"{IGNORE_ENDPOINTS} is true")
    suffix = SERVICE_IDS.get(service, service).replace("-", "_")
    if found := _variable(f"AWS_ENDPOINT_URL_{suffix.upper()}", "AWS_ENDPOINT_URL"):
        return found
    section = settings.get("services")
    services = config.get("services", {}).get(section, {})
    if url := services.get(suffix.lower(), {}).get("endpoint_url"):
        return Setting(url, f"services {section} of profile {name}")
    if url := settings.get("endpoint_url"):
        return Setting(url, f"endpoint_url of profile {name}")
    return Setting(None, NOTHING)


def session(region_name: str | None = None, profile_name: str | None = None) -> Any:
    """A boto3 Session by this rule.

    Args:
        region_name: region; None takes that of `region`.
        profile_name: profile; None takes that of `profile`, behind keys in the environment.
    """
    import boto3
    import botocore.session

    found = profile(profile_name)
    variable = found.source if found.source in PROFILE_VARIABLES else None
    core = botocore.session.Session(session_vars={"profile": (None, variable, None, None)})
    name = region(region_name, profile_name=profile_name).value
    return boto3.session.Session(botocore_session=core, region_name=name, profile_name=profile_name or None)


def _variable(*names: str) -> Setting | None:
    return next((Setting(os.environ[name], name) for name in names if os.environ.get(name)), None)


def _region_of_files(name: str) -> Setting | None:
    config, credentials = _files()
    for wanted in dict.fromkeys((name, "default")):
        for file, profiles in ((_path("credentials"), credentials), (_path("config"), config["profiles"])):
            if value := profiles.get(wanted, {}).get("region"):
                return Setting(value, f"profile {wanted} in {file}")
    return None


def _region_of_instance() -> Setting | None:
    value = metadata.region()
    return Setting(value, "the EC2 instance's metadata") if value else None


def _path(kind: str) -> str:
    variable = "AWS_CONFIG_FILE" if kind == "config" else "AWS_SHARED_CREDENTIALS_FILE"
    return os.environ.get(variable) or f"~/.aws/{kind}"


def _files() -> tuple[dict[str, Any], dict[str, Any]]:
    """The config file as botocore maps it (profiles, services), and the credentials file by profile."""
    from botocore.configloader import load_config, raw_config_parse
    from botocore.exceptions import ConfigNotFound

    found: list[dict[str, Any]] = []
    for read, kind in ((load_config, "config"), (raw_config_parse, "credentials")):
        try:
            found.append(read(_path(kind)))
        except ConfigNotFound:
            found.append({"profiles": {}})
    return found[0], found[1]
