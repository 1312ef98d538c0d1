"""What is installed: a stub for every compiled module, the licences of code and data, and the README's examples."""

import ast
import doctest
import importlib
import inspect
import pickle
import re
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


def test_the_public_names_are_all_that_shows():
    assert {name for name in dir(nk) if not name.startswith("__")} == set(nk.__all__)
    assert all(hasattr(nk, name) for name in dir(nk))


@pytest.mark.parametrize("old", ["_kmeans.KMeans", "_mini_batch.MiniBatchKMeans", "decomposition.PCA"])
def test_pickles_do_not_depend_on_where_a_class_lies(old):
    module, _, name = f"npkernels.{old}".rpartition(".")
    estimator = getattr(nk, name)
    assert estimator.__module__ == "npkernels"
    assert b"npkernels." not in pickle.dumps(estimator)
    # protocol 0: a line for the module and one for the name
    assert pickle.loads(f"c{module}\n{name}\n.".encode()) is estimator
