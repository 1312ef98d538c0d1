"""How time and memory of a fit of k-means grow with the number of samples and of clusters: prints a Markdown table.

    python benchmarks/scaling.py [--most 10000000]

Ten iterations on float32 samples of 8 features, with one thread, the best of three fits. Extra memory is what the
process grows by at its peak, less the samples: each row is a process of its own.
"""

import argparse
import resource
import subprocess
import sys
import time

import numpy as np

import npkernels as nk

FEATURES, ITERATIONS, FITS = 8, 10, 3


def peak():
    """Bytes of the process at its largest so far."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(n, k):
    """(seconds of a fit, bytes that fits need beside the samples)."""
    nk.set_num_threads(1)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, FEATURES), dtype=np.float32)
    kmeans = nk.KMeans(k, init=x[:k].copy(), max_iter=ITERATIONS, tol=0)
    kmeans.fit(x[: 10 * k])  # what is allocated once a process
    before, seconds = peak(), []
    for _ in range(FITS):
        start = time.perf_counter()
        kmeans.fit(x)
        seconds.append(time.perf_counter() - start)
    return min(seconds), peak() - before


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=10_000_000, help="samples of the last rows")
    parser.add_argument("--row", type=int, nargs=2, metavar=("N", "K"), help="measure in this process")
    args = parser.parse_args()
    if args.row:
        print(*measure(*args.row))
        return
    print("| samples | clusters | seconds | ns per sample and iteration | extra MB | bytes per sample |")
    print("|---:|---:|---:|---:|---:|---:|")
    sizes = [(10**power, 16) for power in range(4, 8) if 10**power <= args.most]
    for n, k in [*sizes, *((sizes[-1][0], k) for k in (64, 256))]:
        command = [sys.executable, __file__, "--row", str(n), str(k)]
        seconds, extra = map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
        each = 1e9 * seconds / n / ITERATIONS
        print(f"| {n:,} | {k} | {seconds:.4f} | {each:.2f} | {extra / 1e6:.1f} | {extra / n:.1f} |", flush=True)


if __name__ == "__main__":
    main()
