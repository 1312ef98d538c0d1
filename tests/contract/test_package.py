"""What is installed: a stub for every compiled module, the licences of code and data, and the README's examples."""

import ast
import doctest
import importlib
import inspect
import pickle
import re
import subprocess
import sys
from importlib import metadata, resources
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import npkernels as nk

INSTALLED = {entry.name: entry for entry in resources.files("npkernels").joinpath("_kernels").iterdir()}
COMPILED = sorted({name.partition(".")[0] for name in INSTALLED if name.endswith(tuple(EXTENSION_SUFFIXES))})
README = Path(__file__).parents[2] / "README.md"


def stub_of(module):
    """What a stub declares: {function: its parameters}, and the names that are no functions."""
    functions, others = {}, set()
    for node in ast.parse(INSTALLED[f"{module}.pyi"].read_text()).body:
        if isinstance(node, ast.FunctionDef):
            functions[node.name] = parameters_of(node.args)
        elif isinstance(node, ast.AnnAssign):
            others.add(node.target.id)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.asname == alias.name:  # by convention what the stub exports
                    functions[alias.name] = stub_of(node.module)[0][alias.name]
    return functions, others


def parameters_of(args):
    """(name, whether it has a default) of each parameter, a star before ``*names`` and those that need their names."""
    positional = [*args.posonlyargs, *args.args]
    defaults = [False] * (len(positional) - len(args.defaults)) + [True] * len(args.defaults)
    variadic = [(f"*{args.vararg.arg}", False)] if args.vararg else []
    keywords = [
        (f"*{a.arg}", default is not None) for a, default in zip(args.kwonlyargs, args.kw_defaults, strict=True)
    ]
    return [*zip([a.arg for a in positional], defaults, strict=True), *variadic, *keywords]


def parameters(function):
    return [
        (f"*{p.name}" if p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL) else p.name, p.default is not p.empty)
        for p in inspect.signature(function).parameters.values()
    ]


@pytest.mark.parametrize("name", COMPILED)
def test_stub_declares_what_the_compiled_module_has(name):
    module = importlib.import_module(f"npkernels._kernels.{name}")
    public = {
        key: value for key, value in vars(module).items() if not (key.startswith("__") or inspect.ismodule(value))
    }
    functions = {key: parameters(value) for key, value in public.items() if inspect.isroutine(value)}
    if not public:
        assert f"{name}.pyi" not in INSTALLED  # declarations for Cython alone
        return
    assert f"{name}.pyi" in INSTALLED
    declared, others = stub_of(name)
    assert declared == functions
    assert others >= public.keys() - functions.keys()


def test_no_stub_is_left_without_its_module():
    assert {name.removesuffix(".pyi") for name in INSTALLED if name.endswith(".pyi")} <= set(COMPILED)
    assert resources.files("npkernels").joinpath("py.typed").is_file()


def test_licences_of_code_and_data_are_stated_and_installed():
    if "editable" in (metadata.distribution("npkernels").read_text("direct_url.json") or ""):
        pytest.skip("an editable install keeps the metadata of the day it was made")
    about = metadata.metadata("npkernels")
    assert about["License-Expression"] == "BSD-3-Clause AND CC-BY-4.0"
    files = about.get_all("License-File")
    assert sorted(files) == ["LICENSE", "src/npkernels/data/README.md"]
    texts = {Path(file).name: (README.parent / file).read_text() for file in files}
    assert texts["LICENSE"].startswith("BSD 3-Clause License")
    assert "CC BY 4.0" in texts["README.md"]


# The examples of the README run one after the other, in one namespace.
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)


def test_examples_of_the_readme():
    names = {}
    for number, block in enumerate(BLOCKS, 1):
        if "dask" in block:  # the last
            pytest.importorskip("dask.array")
        example = doctest.DocTestParser().get_doctest(block, names, f"README.md, example {number}", None, None)
        example.globs = names  # not a copy: the next example goes on from here
        results = doctest.DocTestRunner().run(example, clear_globs=False)
        assert results.attempted
        assert not results.failed


# pytest looks for examples of a class in its __module__, which is the package: there it is loaded when it is asked for.
@pytest.mark.parametrize("name", [name for name in nk.__all__ if inspect.isclass(getattr(nk, name))])
def test_examples_of_the_classes(name):
    examples = doctest.DocTestFinder(exclude_empty=True).find(getattr(nk, name), name, module=False)
    for example in examples:
        assert not doctest.DocTestRunner().run(example).failed


def test_the_public_names_are_all_that_shows():
    assert {name for name in dir(nk) if not name.startswith("__")} == set(nk.__all__)
    assert all(hasattr(nk, name) for name in dir(nk))


def in_a_new_process(program):
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return run.stdout.split()


def test_estimators_load_when_they_are_asked_for():
    kernels = in_a_new_process("import sys, npkernels as nk; print(*sys.modules)")
    assert "npkernels.cluster.assign" in kernels
    assert not any(name.endswith(("kmeans", "mini_batch", "pca", "estimator")) for name in kernels)
    assert "npkernels.cluster.kmeans" in in_a_new_process("import sys, npkernels as nk; nk.KMeans; print(*sys.modules)")


def test_modules_are_no_public_names():
    program = """
import npkernels as nk
from npkernels import *
import npkernels.norm
from npkernels.norm import layer_norm
from npkernels import loss
assert loss.mse_loss is nk.mse_loss and layer_norm is nk.layer_norm
print(*[name for name, value in vars(nk).items() if type(value) is type(nk) and name[0] != '_'])
"""
    assert set(in_a_new_process(program)) <= set(nk.__all__)
    with pytest.raises(AttributeError, match="module 'npkernels' has no attribute 'nothing'"):
        nk.nothing  # noqa: B018


@pytest.mark.parametrize("old", ["_kmeans.KMeans", "_mini_batch.MiniBatchKMeans", "decomposition.PCA"])
def test_pickles_do_not_depend_on_where_a_class_lies(old):
    module, _, name = f"npkernels.{old}".rpartition(".")
    estimator = getattr(nk, name)
    assert estimator.__module__ == "npkernels"
    assert b"npkernels." not in pickle.dumps(estimator)
    # protocol 0: a line for the module and one for the name
    assert pickle.loads(f"c{module}\n{name}\n.".encode()) is estimator
