"""Names, examples, and when the package is loaded."""

import doctest
import inspect
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

import npkernels as nk
from npkernels import nn


def test_it_loads_when_it_is_asked_for():
    for program, loaded in (("nk", False), ("nk.init", False), ("nk.nn", True)):
        program = f"import sys, npkernels as nk; {program}; print('npkernels.nn' in sys.modules)"
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert run.stdout.split() == [str(loaded)]
    assert "nn" in dir(nk)


def test_all_names_are_public():
    assert {"Dense", "Sequential", "fit", "Adam", "augment", "check_gradients"} <= set(nn.__all__)
    assert not [name for name in nn.__all__ if name != "augment" and inspect.ismodule(getattr(nn, name))]


CLASSES = [name for name in nn.__all__ if inspect.isclass(getattr(nn, name))]


# pytest looks for examples of a class in its __module__
@pytest.mark.parametrize("name", CLASSES)
def test_examples_of_the_classes(name):
    for example in doctest.DocTestFinder(exclude_empty=True).find(getattr(nn, name), name, module=False):
        assert not doctest.DocTestRunner().run(example).failed


@pytest.mark.parametrize("name", CLASSES)
def test_pickles_name_the_public_place(name):
    assert pickle.dumps(getattr(nn, name), 0).startswith(f"cnpkernels.nn\n{name}\n".encode())


def test_examples_of_the_page():
    page = (Path(__file__).parents[2] / "src/npkernels/nn/README.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        exec(block, {})


@pytest.mark.parametrize("name", nn.__all__)
def test_every_parameter_and_result_has_a_type(name):
    value = getattr(nn, name)
    methods = inspect.getmembers(value, inspect.isfunction) if inspect.isclass(value) else [(name, value)]
    for key, method in methods:
        if callable(method) and (key[0] != "_" or key == "__init__"):
            signature = inspect.signature(method)
            kinds = [p.annotation for parameter, p in signature.parameters.items() if parameter != "self"]
            if method is not object.__init__ and (key != "__init__" or "__init__" in vars(value)):
                assert inspect.Signature.empty not in [
                    *kinds,
                    *([] if key == "__init__" else [signature.return_annotation]),
                ]
