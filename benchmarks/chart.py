"""The chart of the report: per row the time of the best peer over that of npkernels, on a logarithmic axis."""

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

COLOURS = ("#1f6fb4", "#e0782c", "#3a923a", "#8f5fb5")
GREY = "#666666"
WIDEST = (1 / 50, 100)  # ratios beyond are drawn at the edge, with their value


def draw(rows, subtitle, path):
    """One panel a topic, in two columns of about equal height; one line of dots a row, one colour a thread count."""
    topics = list(dict.fromkeys(row.topic for row in rows))
    labels = {topic: list(dict.fromkeys(label(row) for row in rows if row.topic == topic)) for topic in topics}
    columns = split(topics, {topic: len(labels[topic]) + 2 for topic in topics})
    height = max(sum(len(labels[topic]) + 2 for topic in column) for column in columns)
    figure = plt.figure(figsize=(8.5 * len(columns), 0.21 * height + 1.4), dpi=110)
    ratios = [row.ratio(row.best_peer) for row in rows if row.best_peer]
    limits = max(min([0.5, *ratios]), WIDEST[0]) / 1.25, min(max([2, *ratios]), WIDEST[1]) * 1.25
    for i, column in enumerate(columns):
        top = 1 - 1.0 / figure.get_figheight()
        for topic in column:
            size = 0.21 * len(labels[topic]) / figure.get_figheight()
            axes = figure.add_axes(((i + 0.47) / len(columns), top - size, 0.51 / len(columns), size))
            panel(axes, topic, labels[topic], [row for row in rows if row.topic == topic], limits)
            top -= size + 0.42 / figure.get_figheight()
    legend(figure, rows, subtitle)
    figure.savefig(path)
    plt.close(figure)


def label(row):
    return f"{row.operation}: {row.layer}"


def split(topics, sizes):
    """The topics in two columns, each below the others of the column that is shorter by then."""
    columns = [[], []]
    for topic in topics:
        min(columns, key=lambda column: sum(sizes[name] for name in column)).append(topic)
    return [column for column in columns if column]


def panel(axes, topic, labels, rows, limits):
    """Dots of a topic's rows, each with a stem from the line of equal times."""
    threads = sorted({row.threads for row in rows})
    axes.set_xscale("log")
    axes.set_xlim(*limits)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
    subs = (1, 2, 5) if limits[1] / limits[0] < 500 else (1, 3)
    axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=30))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="x", labelsize=8, length=2)
    axes.tick_params(axis="y", length=0)
    axes.axvspan(limits[0], 1, color="#f7ebe8", zorder=0, linewidth=0)
    axes.grid(axis="x", color="#e2e2e2", linewidth=0.7, zorder=1)
    axes.axvline(1, color="black", linewidth=1.1, zorder=2)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_title(topic, loc="left", fontsize=10, fontweight="bold", pad=3)
    for i, count in enumerate(threads):
        offset = 0.36 * (i - (len(threads) - 1) / 2)
        drawn = [row for row in rows if row.threads == count and row.best_peer]
        places = [labels.index(label(row)) + offset for row in drawn]
        exact = [row.ratio(row.best_peer) for row in drawn]
        ratios = [min(max(ratio, WIDEST[0]), WIDEST[1]) for ratio in exact]
        axes.hlines(places, 1, ratios, color=colour(i), linewidth=1.2, alpha=0.55, zorder=3)
        axes.scatter(ratios, places, s=20, color=colour(i), zorder=4, linewidths=0)
        for ratio, place, value in zip(ratios, places, exact, strict=True):
            if value != ratio:
                inward = "right" if value > ratio else "left"
                text = f"  {value:.2g}x  " if value < 1 else f"  {value:.0f}x  "
                axes.text(ratio, place - 0.12, text, fontsize=7, color=colour(i), ha=inward, va="bottom")


def colour(i):
    return COLOURS[i % len(COLOURS)]


def legend(figure, rows, subtitle):
    """Title, conditions and the colours of the thread counts, above the panels."""
    inch = 1 / figure.get_figheight()
    title = "How many times faster npkernels is than the fastest other library"
    note = f"best peer's time / npkernels' time; left of 1x npkernels is slower. {subtitle}"
    figure.text(0.01, 1 - 0.10 * inch, title, fontsize=13, fontweight="bold", va="top")
    figure.text(0.01, 1 - 0.38 * inch, note, fontsize=9, color=GREY, va="top")
    for i, count in enumerate(sorted({row.threads for row in rows})):
        text = f"\N{BLACK CIRCLE} {count} thread{'s' * (count > 1)}"
        x = 0.01 + i / figure.get_figwidth()
        figure.text(x, 1 - 0.6 * inch, text, fontsize=10, color=colour(i), va="top")
