"""A comparison as one HTML page that needs nothing else: the "choose models to compare" page of a catalogue."""

from html import escape

from rerank_ops.comparison.measure import Measured
from rerank_ops.comparison.report import Comparison, headers, rows

STYLE = """
:root { color-scheme: light dark; --ink: #1b2430; --soft: #5c6b7a; --line: #d9dfe6; --bar: #2f6f9f; --paper: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6ebf0; --soft: #9fb0c0; --line: #36414d; --bar: #6fb1e0; --paper: #14191f; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 2rem 1rem 4rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
h2 { font-size: 1.1rem; margin: 2.5rem 0 .75rem; }
p { max-width: 46rem; color: var(--soft); margin: .5rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .5rem .75rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; font-size: .85rem; }
th:first-child, td:first-child { text-align: left; }
td small { display: block; color: var(--soft); }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
svg rect { fill: var(--bar); }
"""
ROW, GUTTER, WIDTH, LABEL = 28, 6, 900, 240  # of the bars, in the picture's own units


def html(comparison: Comparison) -> str:
    """The page."""
    title = "Rerankers compared"
    body = [
        f"<h1>{title}</h1>",
        *(f"<p>{escape(remark)}</p>" for remark in comparison.remarks),
        '<div class="scroll">',
        _table(comparison),
        "</div>",
        "<h2>Pairs per second</h2>",
        _bars([(model.label, model.pairs_per_s, f"{model.pairs_per_s:,.1f}") for model in comparison.models]),
        "<h2>Latency of a request, p50 in milliseconds</h2>",
        _bars(_latencies(comparison)),
    ]
    if comparison.quality:
        scores = [(label, mean, f"{mean:.3f}") for label, (mean, _, _) in comparison.quality.models.items()]
        first_stage = ("BM25", comparison.quality.first_stage, f"{comparison.quality.first_stage:.3f}")
        body += [f"<h2>nDCG@10 on {escape(comparison.quality.collection)}</h2>", _bars([first_stage, *scores])]
    body += ["<h2>How this was measured</h2>", f"<p>{escape(comparison.method)}</p>"]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def _latencies(comparison: Comparison) -> list[tuple[str, float, str]]:
    milliseconds = [(model.label, model.latency_s(50) * 1e3) for model in comparison.models]
    return [(label, value, f"{value:,.0f}") for label, value in milliseconds]


def _table(comparison: Comparison) -> str:
    heads = "".join(f"<th>{escape(head)}</th>" for head in headers(comparison))
    lines = []
    for model, (label, *cells) in zip(comparison.models, rows(comparison), strict=True):
        name = f"<td>{escape(label)}<small>{escape(_about(model))}</small></td>"
        lines.append("<tr>" + name + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    return f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n" + "\n".join(lines) + "\n</tbody>\n</table>"


def _about(model: Measured) -> str:
    about = model.about
    said = f"{about['family']}, {about['precision']} on {about['device']}"
    return f"{said}, random weights" if about["random"] else said


def _bars(values: list[tuple[str, float, str]]) -> str:
    """Horizontal bars from 0: label, length, what is written at the end."""
    longest = max(value for _, value, _ in values) or 1.0
    drawn = []
    for place, (label, value, said) in enumerate(values):
        top, length = place * ROW, (WIDTH - LABEL - 90) * value / longest
        middle = top + ROW / 2 + 4
        drawn.append(
            f'<text x="{LABEL - 10}" y="{middle}" text-anchor="end">{escape(label)}</text>'
            f'<rect x="{LABEL}" y="{top + GUTTER / 2}" width="{max(length, 1):.1f}" height="{ROW - GUTTER}" rx="2"/>'
            f'<text x="{LABEL + max(length, 1) + 8:.1f}" y="{middle}">{escape(said)}</text>'
        )
    return f'<svg viewBox="0 0 {WIDTH} {ROW * len(values)}" role="img">{"".join(drawn)}</svg>'
