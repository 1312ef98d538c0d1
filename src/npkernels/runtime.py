"""Instruction set and threads."""

from __future__ import annotations

import os
import platform
import threading
from typing import TYPE_CHECKING, Self

import numpy as np

from . import _arguments as check, _threadpoolctl
from ._kernels import runtime as _runtime

if TYPE_CHECKING:
    from ._typing import Int

THREADS_MAX = 2**31 - 1


def set_num_threads(n: Int) -> None:
    """Set the number of threads that kernels use, for the whole process.

    Parameters
    ----------
    n : int
        At least 1; may exceed the number of CPUs.

    Raises
    ------
    TypeError
        If `n` is not an int.
    ValueError
        If `n` is less than 1.

    Notes
    -----
    The number changes speed, never a bit of a result. The default is the number of CPUs that this process may use by
    its affinity and its cgroup quota, or the environment variable ``NPKERNELS_NUM_THREADS``.

    Examples
    --------
    >>> import npkernels as nk
    >>> before = nk.get_num_threads()
    >>> nk.set_num_threads(1)
    >>> nk.get_num_threads()
    1
    >>> nk.set_num_threads(before)
    """
    _runtime.set_num_threads(check.integer("n", n, 1, THREADS_MAX))


def get_num_threads() -> int:
    """The number of threads that a kernel called from this Python thread uses.

    Returns
    -------
    n : int

    Examples
    --------
    >>> import npkernels as nk
    >>> nk.get_num_threads() >= 1
    True
    """
    return _runtime.get_num_threads()


class threads:
    """A number of threads for the calls that this Python thread makes inside a `with` block.

    Parameters
    ----------
    n : int
        At least 1.

    Raises
    ------
    TypeError
        If `n` is not an int.
    ValueError
        If `n` is less than 1.
    RuntimeError
        If a block is left in another Python thread than it was entered in.

    Notes
    -----
    One object may be used again, inside itself and in several Python threads at once. The innermost block counts. New
    Python threads begin with the process-wide number.

    Examples
    --------
    >>> import npkernels as nk
    >>> with nk.threads(1):
    ...     nk.get_num_threads()
    1
    """

    def __init__(self, n: Int) -> None:
        self._n = check.integer("n", n, 1, THREADS_MAX)

    def __enter__(self) -> Self:
        _entered.blocks.append(self)
        _runtime.override_num_threads(self._n)
        return self

    def __exit__(self, *exception: object) -> None:
        # Blocks of generators and coroutines may end in any order: what is left says which number is in force.
        blocks = _entered.blocks
        for i in reversed(range(len(blocks))):
            if blocks[i] is self:
                del blocks[i]
                break
        else:
            raise RuntimeError("threads must be left in the Python thread that entered it")
        _runtime.override_num_threads(blocks[-1]._n if blocks else 0)


class _Entered(threading.local):
    def __init__(self):
        self.blocks = []  # the `threads` that this Python thread is inside of, innermost last


_entered = _Entered()


def isa() -> str:
    """The instruction set that the kernels use.

    Returns
    -------
    name : str
        One of `available_isas`.

    Examples
    --------
    >>> import npkernels as nk
    >>> nk.isa() in nk.available_isas()
    True
    """
    return _runtime.isa()


def available_isas() -> tuple[str, ...]:
    """The instruction sets that this machine and this build have, by rising level.

    Returns
    -------
    names : tuple of str
        "generic" always; "avx2" (x86-64-v3) and "avx512" (x86-64-v4) where processor and operating system have them.

    Examples
    --------
    >>> import npkernels as nk
    >>> nk.available_isas()[0]
    'generic'
    """
    return _runtime.available_isas()


def use_isa(name: str) -> None:
    """Use another instruction set from now on, in the whole process; for tests and comparisons.

    The highest is used by default; the environment variable ``NPKERNELS_ISA`` chooses another at import.

    Parameters
    ----------
    name : str
        One of `available_isas`.

    Raises
    ------
    TypeError
        If `name` is not a string.
    ValueError
        If `name` is unknown, or this machine does not have it.

    Examples
    --------
    >>> import npkernels as nk
    >>> nk.use_isa(nk.available_isas()[-1])
    """
    _runtime.use_isa(check.choice("name", name, available_isas()))


def show_config() -> None:
    """Print version, instruction sets, threads and caches.

    Examples
    --------
    >>> import npkernels as nk
    >>> nk.show_config()  # doctest: +ELLIPSIS
    npkernels ...
    """
    from . import __version__

    caches = ", ".join(f"{level} {size >> 10} KiB" for level, size in _runtime.cache_sizes_in_bytes().items())
    print(f"npkernels {__version__}")
    print(f"instruction set  {isa()} of {', '.join(available_isas())}")
    print(f"threads          {get_num_threads()} of {_runtime.cpus()} CPUs")
    print(f"caches           {caches}")
    print(f"Python           {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}")


def _read_environment():
    """An empty variable counts as unset."""
    name = os.environ.get("NPKERNELS_ISA")
    if name:
        _runtime.use_isa(check.choice("NPKERNELS_ISA", name, available_isas()))
    text = os.environ.get("NPKERNELS_NUM_THREADS")
    if text:
        if not (text.strip().isdecimal() and 1 <= int(text) <= THREADS_MAX):
            raise ValueError(f"NPKERNELS_NUM_THREADS must be an int of at least 1, got {text!r}")
        set_num_threads(int(text))
    text = os.environ.get("NPKERNELS_POISON")  # kernels/README.md
    if text:
        if not (text.strip().isdecimal() and int(text) <= 255):
            raise ValueError(f"NPKERNELS_POISON must be a byte, got {text!r}")
        _runtime.poison(int(text))


_read_environment()
_threadpoolctl.register()
