"""Pictures of results stay readable: panels wrap, and equal results give equal bytes."""

import re
from pathlib import Path

import pytest

from rerank_training.evaluation import Result
from rerank_training.figures import comparison

pytest.importorskip("matplotlib")


def _picture(path: Path, collections: int) -> str:
    results = {
        f"collection {n}": [Result(name, {}, {"nDCG@10": {"a": 0.2, "b": 0.4 + 0.1 * n}}) for name in ("BM25", "ours")]
        for n in range(collections)
    }
    comparison(path, results, "nDCG@10")
    return path.read_text()


def _size(svg: str) -> tuple[float, float]:
    found = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"|height="([\d.]+)pt".*?width="([\d.]+)pt"', svg)
    assert found
    width, height, other_height, other_width = found.groups()
    return float(width or other_width), float(height or other_height)


def test_panels_beyond_four_begin_a_second_row(tmp_path: Path) -> None:
    """Six collections are as wide as four and twice as high; each is drawn, the two places left over stay empty."""
    four, six = _picture(tmp_path / "4.svg", 4), _picture(tmp_path / "6.svg", 6)

    assert [f"<!-- collection {n} -->" in six for n in range(6)] == [True] * 6
    assert six.count("<!-- 0.300 -->") == 2
    assert _size(six) == pytest.approx((_size(four)[0], 2 * _size(four)[1]))
    assert len(re.findall(r'id="axes_\d+"', six)) == 6


def test_labels_of_a_narrow_range_do_not_run_into_each_other(tmp_path: Path) -> None:
    """Six ticks at most, however many digits they need."""
    results = {"close": [Result(name, {}, {"nDCG@10": {"a": 0.958, "b": 0.976}}) for name in ("BM25", "ours")]}

    comparison(tmp_path / "p.svg", results, "nDCG@10")

    assert 2 <= len(re.findall(r'id="xtick_\d+"', (tmp_path / "p.svg").read_text())) <= 6


def test_equal_results_give_equal_bytes(tmp_path: Path) -> None:
    """No dates and no random names: a picture in a repository changes with its figures only."""
    assert _picture(tmp_path / "a.svg", 2) == _picture(tmp_path / "b.svg", 2)
