"""Documents to rerank, as a person hands them over: arguments, a file, or standard input."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from rerank_ops.errors import NotFound, Refused, Usage

Document = str | Mapping[str, object]


def gather(given: Sequence[str], file: str | None, stdin: TextIO) -> list[Document]:
    """The arguments, then the documents of `file` ("-" reads standard input).

    Raises:
        Usage: neither arguments nor a file are given.
        NotFound: there is no such file, or it holds no document.
        Refused: the file is not text, or a line of it is neither text nor JSON with text in it.
    """
    if not given and file is None:
        raise Usage("No documents.", tip="Give them as arguments, or --file PATH (- reads standard input).")
    documents: list[Document] = list(given)
    if file == "-":
        documents += parse(stdin.read(), "standard input", lines_are_json=None)
    elif file is not None:
        path = Path(file)
        if not path.is_file():
            raise NotFound(f"{file} is {'a folder' if path.is_dir() else 'not a file'}.", tip="Name a file of texts.")
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise Refused(f"{file} is not text in UTF-8: {error.reason} at byte {error.start:,}.") from None
        documents += parse(text, file, lines_are_json=path.suffix != ".txt")
    if not documents:
        raise NotFound(f"No documents in {'standard input' if file == '-' else file}.", tip="One a line is expected.")
    return documents


def parse(text: str, where: str, *, lines_are_json: bool | None) -> list[Document]:
    """One document a line, or a JSON list. A JSON line is a string or an object with "text".

    `lines_are_json` None decides by the first line: JSON when it starts like a string, an object or a list.
    """
    if lines_are_json is None:
        lines_are_json = text.lstrip()[:1] in {'"', "{", "["}
    if not lines_are_json:
        return [line for line in text.splitlines() if line.strip()]
    if text.lstrip()[:1] == "[":
        return [_document(value, where, position) for position, value in enumerate(_loads(text, where, 1), start=1)]
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    return [_document(_loads(line, where, number), where, number) for number, line in lines]


def _loads(text: str, where: str, number: int) -> list[object]:
    try:
        value: list[object] = json.loads(text)
    except ValueError as error:
        raise Refused(f"{where}, line {number}: not JSON ({error}).", tip="Plain lines go into a .txt file.") from None
    return value


def _document(value: object, where: str, number: int) -> Document:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and isinstance(value.get("text"), str):
        return value
    raise Refused(f'{where}, document {number}: neither a string nor an object with a string under "text".')
