# SPDX-License-Identifier: ISC
"""Curves and bars of what was measured, as SVG that is alike for like figures."""

import contextlib

with contextlib.suppress(ImportError):  # python3-matplotlib, which only who wants plots needs
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

NOTHING = {"Date": None}  # of when a plot was made


def curves(path, title, below, lines):
    """lines: by name, the values by how many; both axes by powers of ten."""
    figure, axes = pyplot.subplots(figsize=(5, 3))
    for name, values in lines.items():
        axes.plot(list(values), list(values.values()), marker="o", label=name)
    axes.set(title=title, xlabel=below, xscale="log", yscale="log")
    axes.grid(visible=True, alpha=0.3)
    if len(lines) > 1:
        axes.legend()
    figure.savefig(path, bbox_inches="tight", metadata=NOTHING)
    pyplot.close(figure)


def bars(path, title, values):
    """values: by name; ours stand out."""
    figure, axes = pyplot.subplots(figsize=(5, 0.3 * len(values) + 0.6))
    colors = ["#1f6f8b" if name.startswith("ours") else "#b8b8b8" for name in values]
    drawn = axes.barh(list(values), list(values.values()), color=colors)
    axes.bar_label(drawn, fmt="%.4g", padding=3)
    axes.invert_yaxis()
    axes.set(title=title, xlim=(0, 1.15 * max(values.values())))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, bbox_inches="tight", metadata=NOTHING)
    pyplot.close(figure)
