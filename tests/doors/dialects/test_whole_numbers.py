"""Numbers that JSON does not tell apart."""

from collections.abc import Callable
from typing import Any


def test_three_point_zero_is_three(ask: Callable[..., tuple[int, Any]]) -> None:
    """Clients that write whole numbers with a point are answered; halves are not."""
    request = {"query": "q", "documents": ["a", "bb", "ccc"]}

    whole, half = (ask(request | {"top_n": number}) for number in (2.0, 2.5))

    assert (200, 2) == (whole[0], len(whole[1]["results"]))
    assert 422 == half[0]
