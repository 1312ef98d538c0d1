"""CPU kernels for neural networks and clustering on NumPy arrays."""

import os
import re
from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

# __init__.pyi is the one list of the public names: {module: names that live there}.
_IMPORT = re.compile(r"^from (\S+) import \(\n(.*?)^\)", re.MULTILINE | re.DOTALL)
with open(os.path.join(os.path.dirname(__file__), "__init__.pyi"), encoding="utf-8") as _stub:
    _HOMES = {module: re.findall(r"(\w+) as \1,", names) for module, names in _IMPORT.findall(_stub.read())}
__all__ = sorted(name for names in _HOMES.values() for name in names)

# Few programs need these: they load when they are asked for. Kernels load at once: their first call may be in a process
# that has no memory or no time left for an import.
_LATE = (".", ".cluster.kmeans", ".cluster.mini_batch", ".decomposition.pca")


def _load(home, names=None):
    for name in names or _HOMES[home]:
        globals()[name] = (
            import_module(f".{name}", __name__) if home == "." else getattr(import_module(home, __name__), name)
        )
    for name, value in list(globals().items()):  # npkernels.norm is no public name, but the import leaves it here
        if isinstance(value, ModuleType) and name[0] != "_" and name not in __all__:
            globals().pop(name, None)


def __getattr__(name):
    for home in _LATE:
        if name in _HOMES[home]:
            _load(home, [name] if home == "." else None)  # of whole modules only the one that is asked for
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [*__all__, "__all__", "__doc__", "__file__", "__name__", "__path__", "__version__"]


for _home in _HOMES:
    if _home not in _LATE:
        _load(_home)
