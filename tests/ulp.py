"""The largest error of every elementwise function over all float32: python tests/ulp.py [step] [name ...]

Takes minutes for a step of 1; a step of 97 takes every 97th number.
"""

import sys

import numpy as np
from test_activation import TRUTH, largest_error

import npkernels as nk

BLOCK = 1 << 20


def main(step=1, *names):
    step = int(step)
    for isa in nk.available_isas():
        nk.use_isa(isa)
        for name in names or TRUTH:
            worst = 0.0
            for start in range(0, 1 << 32, step * BLOCK):
                bits = np.arange(start, min(start + step * BLOCK, 1 << 32), step, dtype=np.uint32)
                worst = max(worst, largest_error(name, bits.view(np.float32)))
            print(f"{isa:8} {name:12} {worst:.3f} ULP, stated {TRUTH[name][3][0]}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
