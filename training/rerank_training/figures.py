"""Pictures: how a training run went, how models compare. Matplotlib, written to .svg or .png without a display."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rerank_training.errors import INSTALL, MissingPackage
from rerank_training.evaluation import Result
from rerank_training.metrics import title
from rerank_training.state import Progress

INK, QUIET, GOOD = "#1f2933", "#9aa5b1", "#0b7285"


def training_curve(path: Path, progress: Progress, weights: Mapping[str, float], *, heading: str) -> None:
    """Loss (sum and parts, weighted) and watched nDCG@10 over steps."""
    figure, (left, right) = _figure(1, 2, size=(10, 3.6))
    records = [record for record in progress.history if "kl" in record]
    steps = [record["step"] for record in records]
    sums = [sum(weight * record.get(name, 0.0) for name, weight in weights.items()) for record in records]
    left.plot(steps, sums, color=INK, label="loss")
    for name, weight in weights.items():
        if weight:
            left.plot(
                steps,
                [weight * record.get(name, 0.0) for record in records],
                lw=1,
                alpha=0.7,
                label=f"{weight:g} · {name}",
            )
    left.set(xlabel="step", ylabel="training loss", ylim=(0, None))
    left.legend(frameon=False, fontsize=8)
    watched = [record for record in progress.history if "ndcg" in record]  # none where no query was
    right.plot([record["step"] for record in watched], [record["ndcg"] for record in watched], color=GOOD)
    right.axvline(progress.best_step, color=QUIET, lw=1, ls=":")
    right.set(xlabel="step", ylabel="nDCG@10 on held-out training queries", ylim=(0, 1))
    figure.suptitle(heading, fontsize=10)
    _save(figure, path)


def comparison(path: Path, results: Mapping[str, Sequence[Result]], measure: str) -> None:
    """One panel per collection, four in a row: each model's mean of `measure` with its interval."""
    names = list(dict.fromkeys(result.name for rows in results.values() for result in rows))
    columns = min(4, len(results))
    lines = -(-len(results) // columns)
    size = (3 + 3.2 * columns, (1.2 + 0.45 * len(names)) * lines)
    figure, axes = _figure(lines, columns, size=size, share_y=True)
    panels = list(axes)
    for spare in panels[len(results) :]:
        spare.set_visible(False)
    for axis, (collection, rows) in zip(panels[: len(results)], results.items(), strict=True):
        for result in rows:
            found, height = result.interval(measure), names.index(result.name)
            axis.plot([found.low, found.high], [height, height], color=QUIET, lw=3, solid_capstyle="round")
            axis.plot([found.mean], [height], "o", color=GOOD)
            axis.annotate(
                f"{found.mean:.3f}",
                (found.mean, height),
                xytext=(0, 7),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
        axis.set(title=collection, xlabel=title(measure), yticks=range(len(names)), yticklabels=names)
        axis.set_ylim(len(names) - 0.4, -0.7)
        axis.locator_params(axis="x", nbins=5)  # long labels of narrow ranges would run into each other
    _save(figure, path)


def _figure(rows: int, columns: int, *, size: tuple[float, float], share_y: bool = False) -> tuple[Any, Any]:
    try:
        import matplotlib
    except ImportError:
        raise MissingPackage("The package matplotlib, which draws pictures, is not installed.", tip=INSTALL) from None
    matplotlib.use("agg")
    matplotlib.rcParams["svg.hashsalt"] = "rerank"  # equal pictures, equal bytes
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(rows, columns, figsize=size, sharey=share_y, squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="both", color="#e4e7eb", lw=0.6)
        axis.set_axisbelow(True)
    return figure, axes.flat


def _save(figure: Any, path: Path) -> None:
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {"metadata": {"Date": None}} if path.suffix == ".svg" else {"dpi": 150}
    figure.savefig(path, **kind)
    plt.close(figure)
