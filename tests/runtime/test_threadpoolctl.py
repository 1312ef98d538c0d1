"""threadpoolctl sees the pool, whatever its version, and no import is other than it would be without npkernels."""

import os
import subprocess
import sys
import zipfile

import pytest

import npkernels as nk

NEW = """
registered = []
class LibController:
    pass
def register(controller):
    registered.append(controller)
"""
# Nothing to register with: 2.x has neither class nor function, 3.0 and 3.1 have no function.
OLD = {"2": "", "3.1": "class LibController:\n    pass\n", "broken": "def register(controller):\n    raise OSError\n"}


@pytest.fixture
def python(tmp_path):
    """What a fresh interpreter prints, `tmp_path` being the first place of its modules."""

    def run(code):
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        ended = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ended.returncode == 0, ended.stderr
        assert ended.stderr == ""
        return ended.stdout.split()

    return run


both_orders = pytest.mark.parametrize(
    "order", ["import threadpoolctl, npkernels as nk", "import npkernels as nk, threadpoolctl"]
)


@both_orders
def test_the_installed_one_controls_the_pool(python, order):
    pytest.importorskip("threadpoolctl", "3.2")
    code = f"""
{order}
nk.set_num_threads(5)
with threadpoolctl.threadpool_limits(1):
    print(nk.get_num_threads())
with threadpoolctl.threadpool_limits(2, user_api="npkernels"):
    print(nk.get_num_threads())
with nk.threads(3):
    with threadpoolctl.threadpool_limits(4):
        print(nk.get_num_threads())
print(nk.get_num_threads(), [p["version"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "npkernels"])
"""
    assert python(code) == ["1", "2", "3", "5", f"['{nk.__version__}']"]


@both_orders
@pytest.mark.parametrize("version", OLD)
def test_one_that_cannot_register(python, tmp_path, order, version):
    (tmp_path / "threadpoolctl.py").write_text(OLD[version] + "x = 7\n")
    assert python(f"{order}\nprint(threadpoolctl.x, nk.get_num_threads() >= 1)") == ["7", "True"]


@both_orders
def test_one_that_raises_at_import(python, tmp_path, order):
    (tmp_path / "threadpoolctl.py").write_text("raise KeyError(5)\n")
    code = f"""
for _ in range(2):
    try:
        {order}
    except KeyError as error:
        print(error)
import npkernels as nk
"""
    assert python(code) == ["5", "5"]


@both_orders
def test_one_that_is_blocked_or_missing(python, order):
    code = f"""
import sys
sys.modules['threadpoolctl'] = None
try:
    {order}
except ImportError as error:
    print(type(error).__name__)
import npkernels as nk
"""
    assert python(code) == ["ModuleNotFoundError"]


def test_a_look_before_the_import_changes_nothing(python, tmp_path):
    (tmp_path / "threadpoolctl.py").write_text(NEW)
    code = """
import importlib.util, npkernels
for _ in range(2):
    spec = importlib.util.find_spec('threadpoolctl')
print(spec.loader.get_filename('threadpoolctl') == spec.origin)
import threadpoolctl
print(len(threadpoolctl.registered))
"""
    assert python(code) == ["True", "1"]


def test_a_module_that_is_executed_again_is_registered_again(python, tmp_path):
    (tmp_path / "threadpoolctl.py").write_text(NEW)
    code = """
import importlib, sys, npkernels, threadpoolctl
importlib.reload(threadpoolctl)
print(len(threadpoolctl.registered))
del sys.modules['threadpoolctl']
import threadpoolctl
print(len(threadpoolctl.registered))
importlib.reload(sys.modules["npkernels.runtime"])
print(sum(type(finder).__module__.startswith('npkernels') for finder in sys.meta_path))
"""
    assert python(code) == ["1", "1", "1"]


def test_the_module_looks_as_if_we_had_not_been_there(python, tmp_path):
    (tmp_path / "threadpoolctl.py").write_text(NEW + "during = __spec__.loader, __loader__\n")
    code = """
import importlib.machinery, inspect, npkernels, threadpoolctl as module
loaders = *module.during, module.__loader__, module.__spec__.loader
print({type(loader) is importlib.machinery.SourceFileLoader for loader in loaders}, len(module.registered))
print(inspect.getsource(module.register).split()[0], module.__cached__ == module.__spec__.cached)
"""
    assert python(code) == ["{True}", "1", "def", "True"]


def test_a_loader_of_several_modules(python, tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("threadpoolctl.py", NEW)
        archive.writestr("sibling.py", "x = 5\n")
        archive.writestr("package/__init__.py", "")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path / "all.zip")!r})
import npkernels, threadpoolctl, sibling, package
print(len(threadpoolctl.registered), sibling.x, hasattr(sibling, 'registered'))
print(threadpoolctl.__loader__ is sibling.__loader__, 'exec_module' in vars(sibling.__loader__))
"""
    assert python(code) == ["1", "5", "False", "True", "False"]


def test_finders_of_others(python, tmp_path):
    (tmp_path / "threadpoolctl.py").write_text(NEW)
    code = """
import importlib.machinery, sys, npkernels
class Old:  # as before Python 3.4
    def find_module(self, name, path=None):
        return None
class Curious:  # asks all finders, as ours does
    inside = 0
    def find_spec(self, name, path=None, target=None):
        if self.inside > 3:
            raise RecursionError
        self.inside += 1
        try:
            for finder in sys.meta_path:
                if finder is not self and hasattr(finder, 'find_spec'):
                    spec = finder.find_spec(name, path, target)
                    if spec is not None:
                        return spec
        finally:
            self.inside -= 1
class Loaderless:  # a namespace package
    def find_spec(self, name, path=None, target=None):
        if name == 'threadpoolctl' and self.on:
            return importlib.machinery.ModuleSpec(name, None, is_package=True)
sys.meta_path[:0] = [Curious(), Old(), loaderless := Loaderless()]
sys.meta_path += [Curious(), Old()]
import warnings
warnings.simplefilter('ignore')
loaderless.on = True
import threadpoolctl
print(hasattr(threadpoolctl, 'registered'))
loaderless.on = False
del sys.modules['threadpoolctl']
import threadpoolctl
print(len(threadpoolctl.registered))
"""
    assert python(code) == ["False", "1"]


def test_lazy_loaders(python, tmp_path):
    (tmp_path / "threadpoolctl.py").write_text(NEW)
    code = """
import importlib.util, sys, npkernels
spec = importlib.util.find_spec('threadpoolctl')
spec.loader = importlib.util.LazyLoader(spec.loader)
module = sys.modules['threadpoolctl'] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(len(module.registered))
"""
    assert python(code) == ["1"]
