"""Training pairs made of the documentation of software: sections of its guides, and docstrings."""

import ast
import re
import warnings
from collections.abc import Iterator

Pair = dict[str, str]

LONGEST = 180  # words of a passage
SHORTEST = 25  # words of a section, or of a docstring without its summary
SHORTEST_HEADING = 2  # words of a heading that asks something by itself
SUMMARY_WORDS = (4, 25)

# A heading of reStructuredText stands over, and perhaps under, a line of one punctuation mark as long as itself.
_HEADING = re.compile(r"^(?:([=\-~^#*\"'+`.])\1{2,}\n)?([^\s.:|][^\n]{1,90})\n([=\-~^#*\"'+`.])\3{2,}$", re.MULTILINE)
_BLOCK = re.compile(r"^( *)(?:\.\. .*|.*::)$(?:\n(?:\1 +.*|\s*)$)*", re.MULTILINE)
_ROLE = re.compile(r"(?::[\w:+.-]+:)?`+~?!?([^`<]*?)(?: *<[^`>]*>)?`+_{0,2}")
_FIELD = re.compile(r"^ *:[^:\n]+:.*$", re.MULTILINE)


def guide(source: str) -> Iterator[Pair]:
    """Pairs of a guide in reStructuredText: a heading → the section under it; directives and code are left out."""
    found = list(_HEADING.finditer(source))
    page = _plain(found[0][2]) if found else ""
    for heading, following in zip(found, [*found[1:], None], strict=False):
        end = following.start() if following else len(source)
        words = _plain(_FIELD.sub("", _BLOCK.sub("", source[heading.end() : end]))).split()
        asked = _plain(heading[2])
        if len(words) >= SHORTEST and len(asked.split()) >= SHORTEST_HEADING:
            yield {"query": asked, "passage": " ".join(words[:LONGEST]), "page": page}


def docstrings(source: str) -> Iterator[Pair]:
    """Pairs of a Python module's classes and functions: the summary → the rest of the docstring, unnamed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that other people wrote
            tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef) or node.name.startswith("_"):
            continue
        summary, _, rest = (ast.get_docstring(node) or "").partition("\n\n")
        asked = _plain(summary).rstrip(".").split()
        words = re.sub(rf"\b{re.escape(node.name)}\b", "it", _plain(rest)).split()
        if SUMMARY_WORDS[0] <= len(asked) <= SUMMARY_WORDS[1] and len(words) >= SHORTEST:
            yield {"query": " ".join(asked), "passage": " ".join(words[:LONGEST])}


def _plain(markup: str) -> str:
    """Text without inline markup, rulers and options of directives, on one line."""
    text = re.sub(r"^\s*\.\. .*$", "", _ROLE.sub(r"\1", markup), flags=re.MULTILINE)
    text = re.sub(r"^\s*[=\-~^]{3,}[=\-~^ ]*$", "", text, flags=re.MULTILINE)
    return " ".join(re.sub(r"\*\*|::|\|(\w+)\|", r"\1", text).split())
