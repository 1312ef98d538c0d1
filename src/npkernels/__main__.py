"""`python -m npkernels`: checks, times and uses the kernels on real handwritten digits."""

import argparse
import sys
import time

import numpy as np

import npkernels as nk
from npkernels._main_job import cluster, cnn, table
from npkernels.data import load_digits

DESCRIPTION = """\
Runs the kernels of npkernels on 1797 handwritten digits that come with the package, in three parts:

  1. every kernel against its NumPy definition: error as a fraction of the bound, time, speed-up;
  2. a small convolutional network, trained until it knows at least 97 % of the digits it never saw;
  3. k-means clustering of the digits: inertia and purity.

The same --seed prints the same numbers, times apart, whatever --threads.
The exit status is 0 if every check passes, else 1 after a sentence that says what failed.
"""


def at_least(smallest):
    """An argparse type: an integer not below `smallest`."""

    def integer(text):
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or value < smallest:
            raise argparse.ArgumentTypeError(f"must be an integer of at least {smallest}, got {text!r}")
        return value

    return integer


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m npkernels", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="of all random numbers (default: %(default)s)")
    parser.add_argument("--threads", type=at_least(1), help="threads to use (default: the CPUs this process may use)")
    parser.add_argument("--epochs", type=at_least(1), default=cnn.EPOCHS, help="of training (default: %(default)s)")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Runs the three parts and returns the exit status."""
    options, start = parse(arguments), time.perf_counter()
    images, labels = load_digits()
    with nk.threads(options.threads or nk.get_num_threads()):
        print(f"npkernels {nk.__version__}: {nk.isa()} of {', '.join(nk.available_isas())}; ", end="")
        print(f"{nk.get_num_threads()} threads; NumPy {np.__version__}; seed {options.seed}\n")
        part = [np.random.default_rng([options.seed, number]) for number in range(3)]
        failures = table.run(images, labels, part[0])
        print()
        failures += cnn.run(images, labels, part[1], options.epochs)
        print()
        failures += cluster.run(images, labels, part[2])
    sys.stdout.flush()
    for failure in failures:
        print(f"\nFAILED: {failure}.", file=sys.stderr)
    if not failures:
        print(f"\nAll checks passed in {time.perf_counter() - start:.1f} s.")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
