"""Every mistake in a deployment's file is told in the words of whoever wrote the TOML."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from rerank_infra import loading
from rerank_infra.deployment import Deployment
from rerank_infra.errors import ConfigError, Problem
from rerank_infra.wording import _EXAMPLES

SANDBOX = (Path(__file__).parents[2] / "infra" / "deployments" / "sandbox.toml").read_text()
SCHEDULE = {"name": "night", "at": "rate(1 day)", "min_instances": 1, "max_instances": 2}
BUNDLE_KEYS = "kms_key_arn, path"
SCHEDULE_KEYS = "at, max_instances, min_instances, name, timezone"


def problems_of(toml: str) -> list[tuple[str, str, str]]:
    """Key, message and tip of each problem of the sandbox with `toml`'s keys in place of its own."""
    tables = tomllib.loads(SANDBOX)
    for key, value in tomllib.loads(toml).items():
        tables[key] = tables.get(key, {}) | value if isinstance(value, dict) else value
    with pytest.raises(ConfigError) as caught:
        loading.validate(tables, source="sandbox.toml")
    return [(problem.key, problem.message, problem.tip) for problem in caught.value.problems]


CASES = [
    # model_type
    (
        'bundle = "x"',
        (
            "bundle",
            "It should be a table, not a string.",
            f"Write [bundle] on a line of its own, and its keys below it: {BUNDLE_KEYS}.",
        ),
    ),
    (
        "[[bundle]]",
        (
            "bundle",
            "It should be a table, not an array.",
            f"Write [bundle] on a line of its own, and its keys below it: {BUNDLE_KEYS}.",
        ),
    ),
    (
        '[scaling]\nschedules = ["night"]',
        (
            "scaling.schedules[0]",
            "It should be a table, not a string.",
            f"Write [[scaling.schedules]] on a line of its own, and its keys below it: {SCHEDULE_KEYS}.",
        ),
    ),
    # tuple_type
    (
        "[scaling.schedules]",
        (
            "scaling.schedules",
            "It should be an array, not a table.",
            f"Write [[scaling.schedules]] on a line of its own, and its keys below it: {SCHEDULE_KEYS}.",
        ),
    ),
    (
        '[rollout]\nalarms = "latency"',
        ("rollout.alarms", "It should be an array, not a string.", 'In brackets: ["latency"].'),
    ),
    # dict_type
    (
        "settings = 5",
        (
            "settings",
            "It should be a table, not a whole number.",
            "Write [settings] on a line of its own, and below it lines such as RERANK_… = value.",
        ),
    ),
    (
        "tags = []",
        (
            "tags",
            "It should be a table, not an array.",
            'Write [tags] on a line of its own, and below it lines such as "name" = "value".',
        ),
    ),
    # string_type, int_type, float_type, bool_type, finite_number
    (
        "[container]\nimage = true",
        ("container.image", "It should be a string, not true or false.", 'In quotes: "true".'),
    ),
    (
        "[tags]\nteam = 7",
        ("tags.team", "It should be a string of at most 256 characters, not a whole number.", 'In quotes: "7".'),
    ),
    (
        '[batch]\nmax_payload_mb = "6"',
        ("batch.max_payload_mb", "It should be a whole number from 1 to 100, not a string.", "Without the quotes: 6."),
    ),
    (
        "[batch]\nmax_payload_mb = 6.0",
        (
            "batch.max_payload_mb",
            "It should be a whole number from 1 to 100, not a number.",
            "Without the fraction: 6.",
        ),
    ),
    (
        '[scaling]\ntarget = "high"',
        ("scaling.target", "It should be a number above 0, not a string.", "Write a number above 0."),
    ),
    (
        "[scaling]\ntarget = inf",
        ("scaling.target", "It should be a number above 0, not inf or nan.", "Write a number above 0."),
    ),
    (
        '[metrics]\nenhanced = "true"',
        ("metrics.enhanced", "It should be true or false, not a string.", "Without the quotes: true."),
    ),
    (
        "[network]\nsubnets = [1]",
        ("network.subnets[0]", "It should be a string, not a whole number.", 'In quotes: "1".'),
    ),
    # the branches of a union are one mistake
    (
        "[settings]\nRERANK_LOG_LEVEL = [1]",
        (
            "settings.RERANK_LOG_LEVEL",
            "It should be a string or a whole number or a number or true or false, not an array.",
            "Write a string or a whole number or a number or true or false.",
        ),
    ),
    # literal_error
    (
        '[rollout]\nkind = "roling"',
        ("rollout.kind", "It should be 'rolling', 'canary', 'linear' or 'all-at-once'.", 'Did you mean "rolling"?'),
    ),
    (
        "[retention]\nlog_days = 8",
        (
            "retention.log_days",
            "It should be 1, 3, 5, 7, 14, 30, 60, 90, 180 or 365.",
            "Write one of 1, 3, 5, 7, 14, 30, 60, 90, 180, 365.",
        ),
    ),
    # greater_than, greater_than_equal, less_than_equal
    ("[scaling]\ntarget = 0.0", ("scaling.target", "It should be greater than 0.", "Write a number above 0.")),
    (
        "[endpoint]\nstartup_timeout_seconds = 30",
        (
            "endpoint.startup_timeout_seconds",
            "It should be greater than or equal to 60.",
            "Write a whole number from 60 to 3600.",
        ),
    ),
    (
        "[alarms]\nerrors_4xx_percent = 120",
        (
            "alarms.errors_4xx_percent",
            "It should be less than or equal to 100.",
            "Write a number above 0 and at most 100.",
        ),
    ),
    # string_too_long, string_pattern_mismatch, value_error
    (
        f'[tags]\nteam = "{"x" * 257}"',
        ("tags.team", "It has more than 256 characters.", "Shorten it."),
    ),
    (
        '[alarms]\nemail = "me"',
        ("alarms.email", "It does not read as it should.", 'As in "oncall@example.com".'),
    ),
    (
        '[endpoint]\ninstance_type = "g6.xlarge"',
        (
            "endpoint.instance_type",
            "'g6.xlarge' does not read ml.<family>.<size>, as ml.g6.xlarge does.",
            "Did you mean ml.g6.xlarge?",
        ),
    ),
    # missing
    (
        '[[scaling.schedules]]\nname = "a"\nat = "rate(1 day)"\nmin_instances = 1',
        (
            "scaling.schedules[0].max_instances",
            "It is required.",
            "Add it: a whole number. infra/deployments/sandbox.toml has one.",
        ),
    ),
    # extra_forbidden
    ("[scaling]\nmax_instance = 3", ("scaling.max_instance", "No such key.", "Did you mean max_instances?")),
    (
        "[training]\nkeep_days = 3",
        (
            "training.keep_days",
            "No such key.",
            "Known here: enabled. There is batch.keep_days and data_capture.keep_days.",
        ),
    ),
]


@pytest.mark.parametrize(("toml", "told"), CASES, ids=[case[0].replace("\n", " ")[:50] for case in CASES])
def test_a_mistake_is_told_in_the_files_own_words(toml: str, told: tuple[str, str, str]) -> None:
    """Key, what should stand there, what stands there, and the line to write: nothing of pydantic's or JSON's."""
    assert [told] == problems_of(toml)


def test_no_word_of_json_or_python_reaches_the_author() -> None:
    """TOML has tables, arrays, strings, whole numbers: it has no objects, integers, booleans or tuples."""
    words = {word for _, told in CASES for word in re.findall(r"[a-z]+", " ".join(told[1:]).lower())}

    assert set() == words & {"object", "integer", "boolean", "tuple", "dict", "input", "valid", "nonetype"}


def test_a_second_mistake_is_told_beside_the_first() -> None:
    """All keys that are wrong are named at once, each once."""
    found = problems_of('bundle = 1\n[settings]\nRERANK_A = [1]\n[batch]\nmax_concurrent = "2"')

    assert ["batch.max_concurrent", "bundle", "settings.RERANK_A"] == sorted(key for key, _, _ in found)


def patterned(schema: Any, name: str = "") -> set[str]:
    """Names of all keys in a JSON schema whose value has to match a pattern."""
    if isinstance(schema, list):
        return {found for item in schema for found in patterned(item, name)}
    if not isinstance(schema, dict):
        return set()
    named = {found for key, item in schema.get("properties", {}).items() for found in patterned(item, key)}
    tables = {found for item in schema.get("$defs", {}).values() for found in patterned(item)}
    values = {found for key in ("anyOf", "items") for found in patterned(schema.get(key), name)}
    return named | tables | values | ({name} if "pattern" in schema else set())


def test_every_pattern_has_an_example() -> None:
    """A value that does not match is answered with one that does."""
    assert patterned(Deployment.model_json_schema()) == set(_EXAMPLES)


def test_what_a_key_takes_is_written_with_the_value(tmp_path: Path) -> None:
    """The line on the terminal has file, key, value and what to do."""
    path = tmp_path / "sandbox.toml"
    path.write_text('bundle = "x"\n' + SANDBOX)

    with pytest.raises(ConfigError) as caught:
        loading.load(path)

    assert [
        "ERROR sandbox.toml: bundle has value 'x'. It should be a table, not a string.",
        f"TIP Write [bundle] on a line of its own, and its keys below it: {BUNDLE_KEYS}.",
    ] == list(caught.value.lines())


def test_a_problem_is_data() -> None:
    """The values in errors are those of the file."""
    tables: dict[str, Any] = tomllib.loads(SANDBOX) | {"bundle": "x"}
    with pytest.raises(ConfigError) as caught:
        loading.validate(tables, source="sandbox.toml")

    assert [("bundle", "x")] == [(p.key, p.value) for p in caught.value.problems if isinstance(p, Problem)]
