"""Pages under docs/: their code is run, or they say why not, and their figures are those of BENCHMARKS.md."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from rerank_engine.dialects import recognise
from rerank_infra import loading
from rerank_infra.deployment import Deployment

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
QUESTIONS = (ROOT / "docs" / "guides" / "questions.md").read_text(encoding="utf-8")
BENCHMARKS = (ROOT / "scripts" / "BENCHMARKS.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^(?:<!-- not run: ([^\n]+) -->\n)?```([^\n]+)\n(.*?)^```$", re.M | re.S)
RUN_HERE = {"python alone", "json body", "toml deployment"}
RUN_ELSEWHERE = {"bash local"}  # tests/e2e/test_readme.py


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language on all pages, in order."""
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    return [code for text in texts for _, named, code in FENCE.findall(text) if named == language]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    """A block without a note has a kind that a test runs; a block with one has a kind that none does."""
    text = page.read_text(encoding="utf-8")
    found = FENCE.findall(text)
    run = RUN_HERE | RUN_ELSEWHERE

    assert 2 * len(found) == len(re.findall("^```", text, re.M))
    assert [] == [code for reason, language, code in found if (language in run) == bool(reason)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_to_a_file(page: Path) -> None:
    """Relative links of a page, from its own folder."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))

    assert [] == [link for link in links if not (page.parent / link).exists()]


def test_the_readme_leads_to_the_pages() -> None:
    """Nobody has to look into the folder to find them."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert [] == [page.name for page in PAGES if f"]({page.relative_to(ROOT)})" not in readme]


def test_the_python_blocks_run() -> None:
    """From the folder of the checkout, with the demo's model, each in a process of its own."""
    programs = blocks("python alone")
    done = [
        subprocess.run([sys.executable, "-c", one], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        for one in programs
    ]

    assert [] == [one.stderr for one in done if one.returncode]
    assert re.fullmatch(r"0\.\d{4}  Asynchronous endpoints may scale down to zero\.\n\d+ tokens\n", done[0].stdout)


def test_the_request_of_other_languages_is_one_that_the_endpoint_takes() -> None:
    """The body itself, and the Java program's, which is put together from strings."""
    [body] = blocks("json body")
    [java] = blocks("java")
    assigned = java[java.index("String body = ") : java.index(";", java.index("String body = "))]
    pieces = re.findall(r'"((?:[^"\\]|\\.)*)"', assigned)
    sent = json.loads("".join(piece.replace('\\"', '"') for piece in pieces))

    assert "jina" == recognise(json.loads(body)).name
    assert json.loads(body) == sent


def test_the_keys_for_a_vpc_make_a_deployment() -> None:
    """As they stand on the page, beside the sandbox's."""
    [block] = blocks("toml deployment")
    sandbox = tomllib.loads((ROOT / "infra" / "deployments" / "sandbox.toml").read_text(encoding="utf-8"))
    deployment: Deployment = loading.validate(sandbox | tomllib.loads(block), source="page")

    assert (2, 1, True) == (
        len(deployment.network.subnets),
        len(deployment.network.security_groups),
        deployment.network.isolation,
    )


def test_the_models_figures_are_those_that_were_measured() -> None:
    """Million weights, pairs/s, ms and MB of each model, as the family's table has them in fp32."""
    rows = re.findall(r"^\| `[\w.-]+/([\w.-]+)` \| (.+?) \| [\d,]+ \| [^|]+ \|$", QUESTIONS, re.M)
    measured = {
        name.strip(): [weights, pairs, ms, peak]
        for name, weights, pairs, ms, peak in re.findall(
            r"^\| ([\w.-]+) \| (\d+) \| ours-fp32 \| ([\d.]+) \| [\d.]+× \| ([\d,]+) \| ([\d,]+) \|", BENCHMARKS, re.M
        )
    }
    called = {re.sub(r"^jina-reranker-v1-(\w+)-en$", r"\1", name): cells.split(" | ") for name, cells in rows}

    assert 5 == len(rows)
    assert {name: measured[name] for name in called} == called


def test_the_month_is_reckoned_right() -> None:
    """The example's product, with the instances that the production deployment always runs."""
    production = tomllib.loads((ROOT / "infra" / "deployments" / "production.toml").read_text(encoding="utf-8"))
    [(price, instances, hours, month)] = re.findall(r"([\d.]+) × (\d+) × (\d+) = ([\d,]+) USD", QUESTIONS)

    assert production["scaling"]["min_instances"] == int(instances)
    assert float(price) * int(instances) * int(hours) == float(month.replace(",", ""))
