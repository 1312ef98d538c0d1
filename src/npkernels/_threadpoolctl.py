"""Makes the thread pool known to threadpoolctl, without importing it: that would cost every user its import time.

Whatever happens here, the import of threadpoolctl, or of any other module, is what it would be without this package.
"""

import contextlib
import copy
import sys
import threading

NAME = "threadpoolctl"


def register():
    """Now if threadpoolctl is imported already, and after every import of it from now on."""
    if NAME in sys.modules:
        _register(sys.modules[NAME])
    if not any(type(finder) is _Finder for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _register(threadpoolctl):
    """Versions before 3.2 have no `register`: they do not see the pool."""
    with contextlib.suppress(Exception):
        threadpoolctl.register(_controller(threadpoolctl.LibController))


def _controller(base):
    class NpkernelsController(base):
        user_api = "npkernels"
        internal_api = "npkernels"
        filename_prefixes = ("runtime.",)
        check_symbols = ("npkernels_get_num_threads", "npkernels_set_num_threads")

        def get_num_threads(self):
            return self.dynlib.npkernels_get_num_threads()

        def set_num_threads(self, num_threads):
            self.dynlib.npkernels_set_num_threads(num_threads)

        def get_version(self):
            from . import __version__

            return __version__

    return NpkernelsController


class _Finder:
    """Lets the other finders find threadpoolctl, and puts a loader of its own into a copy of what they found."""

    def __init__(self):
        self._inside = threading.local()  # other finders may ask all finders, too

    def find_spec(self, name, path=None, target=None):
        if name != NAME or getattr(self._inside, "now", False):
            return None
        self._inside.now = True
        try:
            for finder in tuple(sys.meta_path):
                find = None if finder is self else getattr(finder, "find_spec", None)
                spec = find(name, path, target) if find else None
                if spec is not None:
                    return _registering(spec)
        finally:
            self._inside.now = False
        return None


def _registering(spec):
    """None where the import can go on without us only."""
    if not hasattr(spec.loader, "exec_module"):
        return None
    with contextlib.suppress(Exception):
        mine = copy.copy(spec)
        mine.loader = _Loader(spec.loader)
        return mine
    return None


class _Loader:
    """Another loader in all but that it registers after the module was executed."""

    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, name):
        if name == "_loader":  # of a copy that is not filled yet
            raise AttributeError(name)
        return getattr(self._loader, name)

    def exec_module(self, module):
        for owner, name in (module, "__loader__"), (getattr(module, "__spec__", None), "loader"):
            if getattr(owner, name, None) is self:  # from now on nobody sees us
                setattr(owner, name, self._loader)
        self._loader.exec_module(module)
        _register(module)
