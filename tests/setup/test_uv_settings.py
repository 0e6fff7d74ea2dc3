"""scripts/uv_settings.py: uv uses the indexes, folders and certificates that pip is told to use."""

import runpy
from pathlib import Path

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "uv_settings.py"))


def variables(*config: str) -> dict[str, str]:
    return dict(SCRIPT["variables"](SCRIPT["settings"](config)))


@pytest.mark.parametrize(
    ("line", "variable", "value"),
    [
        ("global.index-url='https://index.example/simple'", "UV_DEFAULT_INDEX", "https://index.example/simple"),
        (
            "global.extra-index-url='https://a.example\\nhttps://b.example'",
            "UV_INDEX",
            "https://a.example https://b.example",
        ),
        (":env:.find-links='/one /two'", "UV_FIND_LINKS", "/one,/two"),
        ("global.cert='/etc/own.pem'", "SSL_CERT_FILE", "/etc/own.pem"),
        ("global.trusted-host='a.example b.example'", "UV_INSECURE_HOST", "a.example b.example"),
        (":env:.default-timeout='180'", "UV_HTTP_TIMEOUT", "180"),
        ("global.proxy='http://proxy.example:3128'", "ALL_PROXY", "http://proxy.example:3128"),
        ("install.no-index='true'", "UV_NO_INDEX", "true"),
    ],
)
def test_each_setting_of_pip_has_its_variable(line: str, variable: str, value: str) -> None:
    """Several values are separated as uv separates them."""

    assert value == variables(line)[variable]


@pytest.mark.parametrize("turn", [1, -1])
def test_the_environment_counts_before_the_command_and_the_command_before_all(turn: int) -> None:
    """In whichever order pip lists them."""
    lines = ["global.index-url='https://g'", "install.index-url='https://i'", ":env:.index-url='https://e'"]

    assert "https://e" == variables(*lines[::turn])["UV_DEFAULT_INDEX"]
    assert "https://i" == variables(*lines[:2][::turn])["UV_DEFAULT_INDEX"]


def test_settings_of_other_commands_are_not_taken() -> None:
    """`pip download` may have an index of its own."""

    assert {"UV_INDEX_STRATEGY": "unsafe-best-match"} == variables("download.index-url='https://other'", "no setting")


def test_what_uv_was_given_itself_stays(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The lines are quoted for a shell."""
    monkeypatch.setenv("PIP_INDEX_URL", "https://pip.example/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "/a'b")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv.example/simple")
    monkeypatch.delenv("UV_FIND_LINKS", raising=False)

    SCRIPT["main"]()

    lines = capsys.readouterr().out.splitlines()
    assert [] == [line for line in lines if "UV_DEFAULT_INDEX" in line]
    assert "export UV_FIND_LINKS='/a'\"'\"'b'" in lines
