"""DataProcessing of a transform job: filter what goes in, join it with what comes out, filter that. Pure.

JSON and JSON Lines: the response goes into the record under `SageMakerOutput`; a record that is not an object becomes
`{"SageMakerInput": record, "SageMakerOutput": response}`. CSV: the response's columns are appended to the record's.
Rules and limits: the SageMaker developer guide, "Associate prediction results with input records".

A record that must be parsed for a join or a filter and cannot be (a blank line, broken JSON) fails its file.
"""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from rerank_local.data.errors import JoinFailed
from rerank_local.data.transform.jsonpath import JsonPath, parse

JSON_TYPES = frozenset({"application/json", "application/jsonlines"})
MEDIA_TYPES = JSON_TYPES | {"text/csv"}


@dataclass(frozen=True, slots=True)
class Codec:
    """How records of a media type are read, written and joined."""

    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]
    join: Callable[[Any, Any], Any]


class Processing:
    """The filters and the join of one job; with the defaults it passes bytes through untouched.

    Args:
        input_filter, output_filter: JSONPath, `$` for everything.
        join: whether JoinSource is Input.
        media_type: of the records; needed only if something is filtered or joined.
        by_line: whether a payload holds records by line (SplitType Line), so that its response does too.

    Raises:
        BadFilter: a filter that is not in the subset.
    """

    def __init__(
        self, *, input_filter: str = "$", output_filter: str = "$", join: bool = False, media_type: str, by_line: bool
    ) -> None:
        self.input_filter, self.output_filter = parse(input_filter), parse(output_filter)
        self.join, self.by_line = join, by_line
        self._codec = CSV if media_type == "text/csv" else JSON

    @property
    def idle(self) -> bool:
        """Whether nothing is filtered or joined."""
        return self.input_filter.whole and self.output_filter.whole and not self.join

    def request_record(self, record: bytes) -> bytes:
        """What the model sees of a record: filtered, with the record's own line end.

        Raises:
            BadFilter, JoinFailed: the filter does not fit the record, or the record cannot be parsed.
        """
        if self.input_filter.whole:
            return record
        content = record.removesuffix(b"\n")
        chosen = self._select(self.input_filter, self._decode(content, "input record"))
        return self._codec.encode(chosen) + record[len(content) :]

    def output_parts(self, records: Sequence[bytes], response: bytes) -> list[bytes]:
        """What is written for a payload: one part per record, or the response as it is if there is nothing to do.

        Args:
            records: the payload's records as they were before the input filter.
            response: the body the container answered with.

        Raises:
            JoinFailed: the response does not hold one line per record, or something cannot be parsed.
            BadFilter: the output filter does not fit.
        """
        if self.output_filter.whole and not self.join:
            return [response]
        answers = response.removesuffix(b"\n").split(b"\n") if self.by_line else [response]
        if not self.join:
            outputs = [self._decode(answer, "response") for answer in answers]
        else:
            if len(answers) != len(records):
                raise JoinFailed(
                    f"The response has {len(answers)} lines for {len(records)} records: they cannot be joined.",
                    tip="Answer exactly one line per record, in order, or use BatchStrategy SingleRecord.",
                )
            outputs = [
                self._codec.join(
                    self._decode(record.removesuffix(b"\n"), "input record"), self._decode(answer, "response")
                )
                for record, answer in zip(records, answers, strict=True)
            ]
        return [self._codec.encode(self._select(self.output_filter, output)) for output in outputs]

    def _select(self, path: JsonPath, value: Any) -> Any:
        return path.select(value) if not path.whole else value

    def _decode(self, content: bytes, what: str) -> Any:
        try:
            return self._codec.decode(content)
        except (ValueError, csv.Error, RecursionError) as error:
            shown = content[:80].decode("utf-8", "replace")
            raise JoinFailed(f"The {what} {shown!r} cannot be parsed for filtering or joining: {error}.") from error


def _json_decode(content: bytes) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(content.decode("utf-8"), parse_constant=refuse)


def _json_encode(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair: only an escape can carry it
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def _json_join(record: Any, output: Any) -> Any:
    if isinstance(record, dict):
        return {**record, "SageMakerOutput": output}
    return {"SageMakerInput": record, "SageMakerOutput": output}


def _csv_decode(content: bytes) -> list[str]:
    rows = list(csv.reader([content.decode("utf-8")], strict=True))
    return rows[0] if rows else []


def _csv_encode(value: Any) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(value if isinstance(value, list) else [value])
    return out.getvalue().encode("utf-8")


JSON = Codec(_json_decode, _json_encode, _json_join)
CSV = Codec(_csv_decode, _csv_encode, lambda record, output: [*record, *output])
