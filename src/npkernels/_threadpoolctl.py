"""Makes the thread pool known to threadpoolctl, without importing it: that would cost every user its import time."""

import sys


def register():
    """Now if threadpoolctl is imported already, else as soon as it is."""
    if "threadpoolctl" in sys.modules:
        _register(sys.modules["threadpoolctl"])
    else:
        sys.meta_path.insert(0, _AfterImport())


def _register(threadpoolctl):
    class NpkernelsController(threadpoolctl.LibController):
        user_api = "npkernels"
        internal_api = "npkernels"
        filename_prefixes = ("_runtime",)
        check_symbols = ("npkernels_get_num_threads", "npkernels_set_num_threads")

        def get_num_threads(self):
            return self.dynlib.npkernels_get_num_threads()

        def set_num_threads(self, num_threads):
            self.dynlib.npkernels_set_num_threads(num_threads)

        def get_version(self):
            from . import __version__

            return __version__

    threadpoolctl.register(NpkernelsController)


class _AfterImport:
    """A finder that finds nothing itself: it lets the others find threadpoolctl and registers after its import."""

    def find_spec(self, name, path=None, target=None):
        if name != "threadpoolctl":
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                execute = spec.loader.exec_module

                def exec_module(module, execute=execute):
                    execute(module)
                    _register(module)

                spec.loader.exec_module = exec_module
                return spec
        return None
