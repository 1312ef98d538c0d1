"""Times npkernels beside NumPy and every installed rival; writes a table, results.md, and a chart, results.png.

    python benchmarks/report.py [--threads 1 2] [--dtype float32] [--quick] [--only conv pool] [--output FOLDER]

All contenders of a row run in turn, round after round; a contender's time is that of its best round. The table states
what it was measured on.
"""

import argparse
import importlib
import math
import os
import sys
from datetime import date
from pathlib import Path
from typing import NamedTuple

import chart
import engine
import limits
import rivals

import npkernels as nk

TOPICS = (
    "conv",
    "linear",
    "recurrent",
    "pool",
    "softmax",
    "loss",
    "norm",
    "regularisation",
    "activation",
    "channelwise",
    "optim",
    "attention",
    "embedding",
    "cluster",
    "kmeans",
    "decomposition",
)


class Row(NamedTuple):
    """One operation at one layer, the seconds of every contender, the work and what the machine could do of it."""

    topic: str
    operation: str
    layer: str
    shape: str
    threads: int
    seconds: dict
    flop: float | None
    moved: int
    limit: float  # operations a second if there is `flop`, else bytes

    @property
    def rate(self):
        """Operations or bytes a second of npkernels."""
        return (self.flop or self.moved) / self.seconds["npkernels"]

    @property
    def best_peer(self):
        """The fastest contender but npkernels, None if there is no other."""
        peers = {name: time for name, time in self.seconds.items() if name != "npkernels"}
        return min(peers, key=peers.get, default=None)

    def ratio(self, rival):
        """Times that npkernels is faster than the rival, nan where there is none."""
        return self.seconds.get(rival, math.nan) / self.seconds["npkernels"]


def measured(topic, threads, dtype, rounds, seconds):
    """The rows of a topic, each as soon as it is measured."""
    for operation in engine.operations(importlib.import_module(f"bench_{topic}")):
        for layer in operation.layers:
            case = operation(layer, dtype, threads)
            calls = case.contenders()
            for rival, call in calls.items():
                case.check(rival, call)
            times = engine.measure(calls, rounds, seconds)
            flop, moved = case.flop(), case.moved()
            limit = limits.flops(dtype, threads) if flop else limits.copied(moved, threads)
            yield Row(topic, operation.name, layer.name, layer.shape, threads, times, flop, moved, limit)


def number(value, digits=3):
    """The value to so many digits, at least the whole part, "-" for nan."""
    if math.isnan(value):
        return "-"
    return f"{value:.{max(0, digits - 1 - math.floor(math.log10(value)))}f}"


def amount(value, unit):
    """The value with a decimal prefix: 0.0336e9 FLOP are 33.6 MFLOP."""
    power = min(max(0, math.floor(math.log10(value) / 3)), 4)
    return f"{number(value / 1000**power)} {' kMGT'[power].strip()}{unit}"


def geometric_mean(ratios):
    logs = [math.log(ratio) for ratio in ratios if not math.isnan(ratio)]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def line(cells):
    return f"| {' | '.join(cells)} |"


def table(rows, threads):
    """The Markdown table of the rows of one thread count; times in milliseconds."""
    rows = [row for row in rows if row.threads == threads]
    peers = [name for name in rivals.INSTALLED if name != "npkernels" and any(name in row.seconds for row in rows)]
    ratios, work = ["best peer / npkernels", "numpy / npkernels"], ["work", "rate", "of the limit"]
    yield line(["operation", "layer", "sizes", "npkernels", *peers, "best peer", *ratios, *work])
    yield line(["---"] * 3 + ["---:"] * (1 + len(peers)) + ["---"] + ["---:"] * 5)
    for row in rows:
        cells = [number(1e3 * row.seconds.get(name, math.nan)) for name in ("npkernels", *peers)]
        ratios = number(row.ratio(row.best_peer)), number(row.ratio("numpy"))
        unit, share = "FLOP" if row.flop else "B", f"{100 * row.rate / row.limit:.0f} %"
        work = amount(row.flop or row.moved, unit), amount(row.rate, f"{unit}/s"), share
        yield line([row.operation, row.layer, row.shape, *cells, row.best_peer or "-", *ratios, *work])
    peer_mean = geometric_mean([row.ratio(row.best_peer) for row in rows])
    numpy_mean = geometric_mean([row.ratio("numpy") for row in rows])
    blank = [""] * (len(peers) + 4)
    yield line(["**geometric mean**", *blank, f"**{number(peer_mean)}**", f"**{number(numpy_mean)}**", "", "", ""])


def conditions(dtype, threads, rounds, load):
    """What the figures were measured on."""
    peaks = ", ".join(f"{number(limits.flops(dtype, count) / 1e9)} ({count}t)" for count in threads)
    versions = ", ".join(f"{name} {version}" for name, version in rivals.versions().items())
    return [
        f"Measured on {date.today()}: {rivals.machine()}, {len(os.sched_getaffinity(0))} CPUs, {sys.platform}.",
        f"Versions: {versions}. ISA of npkernels: {nk.isa()}. All arrays {dtype}.",
        f"Times in milliseconds, the best of up to {rounds} rounds; the contenders of a row run in turn, every round.",
        f"Load of the machine before the run: {load:.1f}. Every contender has the number of threads stated.",
        "Ratios above 1: npkernels is faster. The best peer is the fastest of the others, NumPy among them.",
        "Work: operations by the definition, of which Winograd's forms do fewer, or the bytes of operands and results,",
        f"each once. Limits, measured in the same run: a pure loop of multiply-adds, {peaks} GFLOP/s;",
        "`numpy.copyto` of as many bytes in as many threads.",
    ]


def markdown(rows, dtype, rounds, load):
    yield "# Benchmarks\n"
    yield "Made by `python benchmarks/report.py`.\n"
    yield from conditions(dtype, sorted({row.threads for row in rows}), rounds, load)
    yield "\n![Best peer's time over npkernels' time](results.png)"
    for threads in sorted({row.threads for row in rows}):
        yield f"\n## {threads} thread{'s' * (threads > 1)}\n"
        yield from table(rows, threads)


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="thread counts, each of every contender")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    parser.add_argument("--quick", action="store_true", help="two short rounds: a look, not a measurement")
    parser.add_argument("--only", nargs="+", choices=TOPICS, default=TOPICS, metavar="TOPIC", help=" ".join(TOPICS))
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="where the two files go")
    return parser.parse_args(argv)


def progress(row):
    """A row as a line of the terminal."""
    times = ", ".join(f"{name} {number(1e3 * seconds)}" for name, seconds in row.seconds.items())
    what = f"{row.threads}t {row.operation:31} {row.layer:31}"
    return f"{what} {number(row.ratio(row.best_peer)):>6} of {row.best_peer or '-':12} ms: {times}"


def main(argv=None):
    args = arguments(argv)
    rounds, seconds = (2, 0.0) if args.quick else (15, 1.0)
    load, rows = os.getloadavg()[0], []
    if load > 0.5:
        print(f"load {load:.1f}: something else runs here, figures will be off, most of all those of several threads")
    for threads in args.threads:
        rivals.set_threads(threads)
        for topic in args.only:
            for row in measured(topic, threads, args.dtype, rounds, seconds):
                rows.append(row)
                print(progress(row), flush=True)
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "results.md").write_text("\n".join(markdown(rows, args.dtype, rounds, load)) + "\n")
    chart.draw(rows, f"{rivals.machine()}, {nk.isa()}, {args.dtype}", args.output / "results.png")


if __name__ == "__main__":
    main()
