"""Docstrings of families of functions: the sections that their members share are written once."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._typing import Function

EXAMPLES = """
Examples
--------
>>> import numpy as np
>>> import npkernels as nk
"""


def completed(text: str, sections: str, **parts: str) -> str:
    """`text` with `sections` behind its first paragraph and the heading of the examples before its first doctest.

    Each ``{name}`` in the sections becomes the part of that name, one after the other: an earlier part may hold
    the name of a later one.
    """
    for name, part in parts.items():
        sections = sections.replace("{" + name + "}", part)
    summary, _, rest = inspect.cleandoc(text).partition("\n\n")
    notes, _, examples = f"\n{rest}".partition("\n>>> ")
    return f"{summary}\n{sections}{notes}{EXAMPLES}>>> {examples}\n"


def documented(sections: str, **parts: str) -> Callable[[Function], Function]:
    """Completes the docstring of a function, where docstrings are kept at all."""

    def complete(function):
        if function.__doc__ is not None:
            function.__doc__ = completed(function.__doc__, sections, **parts)
        return function

    return complete
