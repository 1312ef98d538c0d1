"""What the machine can do at most, measured in the same run: multiply-adds, and plain copies of so many bytes."""

import ctypes
import functools
import math
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import npkernels as nk

WIDTHS = {"avx512": 64, "avx2": 32}  # bytes of a vector of an instruction set, 16 for others
ROUNDS = 7
STEPS = 2_000_000  # of the loop below, some milliseconds
SMALLEST, LARGEST = 1 << 15, 1 << 28  # bytes of the copies

# 20 independent chains, more than latency times throughput of any CPU so far asks for.
LOOP = """
typedef %(number)s vector __attribute__((vector_size(%(width)d)));
double multiply_add(long steps)
{
    vector chain[20], factor, term;
    for (int c = 0; c < 20; c++)
        chain[c] = (vector){0} + (%(number)s)(steps %% (c + 2)); /* all different, or the compiler does the work once */
    factor = (vector){0} + (%(number)s)0.5, term = (vector){0} + (%(number)s)0.25;
    for (long i = 0; i < steps; i++) {
        _Pragma("GCC unroll 20") for (int c = 0; c < 20; c++) chain[c] = chain[c] * factor + term;
    }
    vector sum = chain[0];
    for (int c = 1; c < 20; c++)
        sum += chain[c];
    return (double)sum[0];
}
"""


def timed(call, threads):
    """Seconds until `threads` threads have all done the call, the best of some rounds."""
    best = math.inf
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(ROUNDS):
            start = time.perf_counter()
            for done in [pool.submit(call, i) for i in range(threads)]:
                done.result()
            best = min(best, time.perf_counter() - start)
    return best


@functools.cache
def loop(dtype, width):
    """The compiled loop of multiply-adds, None without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        return None
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "loop.c"), Path(folder, "loop.so")
        source.write_text(LOOP % {"number": {"float32": "float", "float64": "double"}[dtype], "width": width})
        options = ["-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC"]
        subprocess.run([compiler, *options, source, "-o", library], check=True)
        function = ctypes.CDLL(str(library)).multiply_add
    function.argtypes, function.restype = [ctypes.c_long], ctypes.c_double
    return function


@functools.cache
def flops(dtype, threads):
    """Floating-point operations a second of a pure loop of multiply-adds, nan without a compiler."""
    width = WIDTHS.get(nk.isa(), 16)
    function = loop(dtype, width)
    if function is None:
        return math.nan
    work = 2 * 20 * (width // np.dtype(dtype).itemsize) * STEPS
    return threads * work / timed(lambda _: function(STEPS), threads)


def copied(size, threads):
    """Bytes read and written a second by a plain copy that moves `size` bytes in all."""
    return copied_class(2 ** round(math.log2(min(max(size, SMALLEST), LARGEST))), threads)


@functools.cache
def copied_class(size, threads):
    part = size // 2 // threads // 4
    pairs = [(np.ones(part, np.float32), np.empty(part, np.float32)) for _ in range(threads)]
    repeats = max(1, 2**24 // size)

    def copy(i):
        for _ in range(repeats):
            np.copyto(pairs[i][1], pairs[i][0])

    return 8 * part * threads * repeats / timed(copy, threads)
