"""`python -m tests.fuzz.digests [isa ...]`: a line for every kernel and instruction set, with the bits of what it gave.

What other machines, emulated ones too, and other compilers must print as well. With arguments, those must be the
instruction sets that this machine has, all of them. What NumPy's or LAPACK's rounding has a part in is left out.
"""

import os
import sys

import npkernels as nk

from .run import NAMES, digest, draw

SEEDS = range(4)
NUMPY_ROUNDS = "KMeans", "MiniBatchKMeans", "PCA"


def digests(names, isa):
    nk.use_isa(isa)
    return [f"{isa} {name} {' '.join(digest(draw(name, seed))[:16] for seed in SEEDS)}" for name in names]


def forked(work):
    """What `work` gives in a child that has none of this process's threads."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, repr(work()).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    assert os.waitpid(child, 0)[1] == 0
    return text


def main(expected):
    available = nk.available_isas()
    if expected and available != tuple(expected):
        sys.exit(f"expected the instruction sets {expected}, found {available}")
    names = [name for name in NAMES if name not in NUMPY_ROUNDS]
    for isa in available:
        lines = digests(names, isa)
        assert forked(lambda: (nk.available_isas(), digests(names[:9], isa))) == repr((available, lines[:9]))  # noqa: B023
        print(*lines, sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
