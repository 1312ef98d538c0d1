"""Small arrays on several threads: what they would run if they were large."""

from contextlib import contextmanager

import npkernels as nk
from npkernels._kernels import runtime as _runtime


@contextmanager
def shared_by(n):
    """`n` threads take part in all work that has as many tasks, however little it is."""
    _runtime.share_always(True)
    try:
        with nk.threads(n):
            yield
    finally:
        _runtime.share_always(False)
