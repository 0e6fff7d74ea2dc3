"""Lists of documents: strings, objects with a text, objects of several fields."""

from collections.abc import Mapping, Sequence

from rerank_engine.dialects.fields import Fields

Originals = list[object]


def read_documents(
    fields: Fields, name: str, *, objects: bool = True, rank_fields: Sequence[str] | None = None, single: bool = False
) -> tuple[Originals, tuple[str, ...]]:
    """The documents under `name`: as they came, and as texts; both empty after a fault of the list itself.

    Args:
        fields: the object that has them.
        name: their key.
        objects: whether {"text": …} is taken beside strings.
        rank_fields: fields of objects to be scored instead of "text": their values, a line each.
        single: whether one string stands for a list of one.
    """
    originals = fields.values.get(name)
    if single and isinstance(originals, str):
        return [originals], (originals,)
    if originals is None:
        fields.fault((name,), "is missing", "missing")
    elif not isinstance(originals, list):
        fields.fault((name,), "must be a list", "type", originals)
    elif not originals:
        fields.fault((name,), "must hold at least one document", "value", originals)
    else:
        return originals, tuple(
            one if isinstance(one, str) else _text(fields, one, name, position, objects, rank_fields)
            for position, one in enumerate(originals)
        )
    return [], ()


def _text(
    fields: Fields, one: object, name: str, position: int, objects: bool, rank_fields: Sequence[str] | None
) -> str:
    if not objects:
        return fields.plain(one, (name, position))
    if rank_fields is None or not isinstance(one, Mapping):
        return fields.text(one, (name, position))
    parts = []
    for key in rank_fields:
        value = one.get(key)
        if isinstance(value, str):
            parts.append(value)
        elif value is not None:
            fields.fault((name, position, key), "must be a string: rank_fields are scored as text", "type", value)
    if not parts:
        fields.fault((name, position), f"has none of the rank_fields {', '.join(rank_fields)}", "missing")
    return "\n".join(parts)
