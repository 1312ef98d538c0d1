"""Searches convolutions of all sizes for holes: shapes where PyTorch is faster.

    python benchmarks/sweep.py [--count 100] [--seed 0] [--threads 1] [--dtype float32] [--below 0.8]

Channels 1 to 512, images 5 to 224, kernels 1 to 7, strides 1 to 3, batches 1 to 128; a sample of all combinations that
take neither too little nor too much time. Prints the shapes whose ratio is below the limit, forward or backward, and
the geometric means.
"""

import argparse
import itertools
import random

import engine
import numpy as np
import rivals
from bench_conv import Conv2d, Conv2dBackward
from report import geometric_mean
from shapes import Conv

CHANNELS = ((1, 16), (3, 32), (8, 8), (16, 32), (32, 32), (64, 64), (64, 128), (128, 10), (256, 256), (512, 512))
IMAGES = (5, 7, 14, 28, 56, 112, 224)
KERNELS = ((1, 1), (1, 2), (2, 2), (3, 1), (3, 2), (3, 3), (5, 1), (5, 2), (7, 1), (7, 2))
BATCHES = (1, 8, 32, 128)
FLOP = (2e5, 3e9)


def layers():
    """All layers of the sweep whose number of operations is within the limits."""
    for (c, oc), h, (kernel, stride), n in itertools.product(CHANNELS, IMAGES, KERNELS, BATCHES):
        layer = Conv("sweep", n, c, h, oc, kernel, stride, kernel // 2, 1)
        if kernel <= h and FLOP[0] <= 2 * n * c * oc * kernel**2 * (h // stride) ** 2 <= FLOP[1]:
            yield layer


def ratio(operation, layer, dtype, threads, rounds):
    """PyTorch's time over npkernels', and the latter."""
    case = operation(layer, dtype, threads)
    calls = {name: getattr(case, name)() for name in ("npkernels", "torch")}
    times = engine.measure(calls, rounds, 1.0)
    return times["torch"] / times["npkernels"], times["npkernels"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100, help="layers that are drawn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--below", type=float, default=0.8, help="ratios that are printed")
    options = parser.parse_args()
    every = list(layers())
    drawn = random.Random(options.seed).sample(every, min(options.count, len(every)))
    ratios = []
    rivals.set_threads(options.threads)
    for layer in drawn:
        pair = [
            ratio(operation, layer, options.dtype, options.threads, options.rounds)
            for operation in (Conv2d, Conv2dBackward)
        ]
        ratios.append([each[0] for each in pair])
        if min(ratios[-1]) < options.below:
            times = "   ".join(f"{r:.2f} ({1e3 * s:.3f} ms)" for r, s in pair)
            print(f"{layer.shape}: forward, backward {times}", flush=True)
    ratios = np.array(ratios)
    for i, name in enumerate(("forward", "backward")):
        below = (ratios[:, i] < options.below).sum()
        print(
            f"{name}: geometric mean {geometric_mean(ratios[:, i]):.2f}, {below} of {len(drawn)} below {options.below}"
        )


if __name__ == "__main__":
    main()
