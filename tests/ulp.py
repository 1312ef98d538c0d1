"""The largest error of elementwise functions over all float32: python tests/ulp.py [--step N] [--isa ISA] [name ...]

Takes minutes for each function at a step of 1; a step of 97 takes every 97th number.
"""

import argparse

import numpy as np
from oracle import CASES, IDS, largest_error, stated_ulp

import npkernels as nk

BLOCK = 1 << 18


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="functions (default: all)")
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--isa", choices=nk.available_isas(), default=nk.isa())
    options = parser.parse_args()
    nk.use_isa(options.isa)
    for (name, parameters), title in zip(CASES, IDS, strict=True):
        if options.names and name not in options.names:
            continue
        worst = 0.0
        for start in range(0, 1 << 32, options.step * BLOCK):
            bits = np.arange(start, min(start + options.step * BLOCK, 1 << 32), options.step, dtype=np.uint32)
            worst = max(worst, largest_error(name, bits.view(np.float32), **parameters))
        print(f"{options.isa:8} {title:32} {worst:.3f} ULP, stated {stated_ulp(name, np.float32)}", flush=True)


if __name__ == "__main__":
    main()
