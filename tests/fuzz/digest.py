"""One number for the bits of many calls: `python -m tests.fuzz.digest` before and after a change that moves code."""

import argparse
import hashlib

import npkernels as nk

from .run import NAMES, digest, draw


def of_calls(name, count):
    """SHA-256 over the results of the first `count` calls of a kernel."""
    found = hashlib.sha256()
    for seed in range(count):
        found.update(digest(draw(name, seed)).encode())
    return found.hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40, help="calls of each kernel (default: %(default)s)")
    parser.add_argument("--each", action="store_true", help="a line for each kernel")
    options = parser.parse_args()
    for isa in nk.available_isas():
        nk.use_isa(isa)
        digests = {name: of_calls(name, options.count) for name in NAMES}
        for name, found in digests.items() if options.each else ():
            print(isa, name, found[:16])
        print(isa, hashlib.sha256("".join(digests.values()).encode()).hexdigest())


if __name__ == "__main__":
    main()
