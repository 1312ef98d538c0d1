"""What type checkers see of the package: every public callable, and a user's program."""

import inspect
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import npkernels as nk

PROGRAM = Path(__file__).with_name("user_program.py")
CALLED_BY_PYTHON = ("__init__", "__enter__", "__exit__")


def public_callables():
    for name in nk.__all__:
        value = getattr(nk, name)
        if inspect.isclass(value):
            for key, method in inspect.getmembers(value, inspect.isfunction):
                if key[0] != "_" or key in CALLED_BY_PYTHON:
                    yield pytest.param(method, id=f"{name}.{key}")
        elif callable(value):
            yield pytest.param(value, id=name)


@pytest.mark.parametrize("function", list(public_callables()))
def test_every_parameter_and_result_has_a_type(function):
    signature = inspect.signature(function)
    typed = {name: p.annotation for name, p in signature.parameters.items() if name != "self"}
    typed["return"] = signature.return_annotation
    assert not [name for name, annotation in typed.items() if annotation is inspect.Signature.empty]


def mypy(file, cache):
    """What mypy writes of a user's file, to whom npkernels is an installed package."""
    pytest.importorskip("mypy")
    folder = Path(nk.__file__).parents[1]
    path = {} if folder.name == "site-packages" else {"MYPYPATH": str(folder)}  # an editable install is not found
    options = ["--strict", "--config-file=", "--follow-imports=silent", f"--cache-dir={cache}"]
    command = [sys.executable, "-m", "mypy", *options, str(file)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **path})


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("mypy")


def test_a_users_program_passes_mypy_strict(cache):
    result = mypy(PROGRAM, cache)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_users_program_runs():
    runpy.run_path(str(PROGRAM), run_name="__main__")


def test_no_decorator_hides_a_type(cache, tmp_path):
    file = tmp_path / "names.py"
    file.write_text("import npkernels as nk\n" + "".join(f"reveal_type(nk.{name})\n" for name in nk.__all__))
    found = re.findall(r'Revealed type is "(.*)"', mypy(file, cache).stdout)
    assert len(found) == len(nk.__all__)
    assert not [name for name, kind in zip(nk.__all__, found, strict=True) if re.search(r"^Any$|-> Any$", kind)]


MISTAKES = (
    "nk.relu(np.arange(3))",
    "nk.dense(x, x, activation='swish')",
    "nk.conv2d(x, x, padding='full')",
    "nk.mse_loss(x, x, reduction='all')",
    "nk.sgd_step([1.0], x, lr=0.1)",
    "nk.KMeans(3).fit(x).labels",
)


def test_mistakes_are_found(cache, tmp_path):
    file = tmp_path / "mistakes.py"
    file.write_text("\n".join(["import numpy as np", "import npkernels as nk", "x = np.ones((3, 3))", *MISTAKES]))
    lines = re.findall(r"mistakes.py:(\d+): error", mypy(file, cache).stdout)
    assert sorted(set(lines)) == [str(4 + i) for i in range(len(MISTAKES))]
