"""Every example, quick: it reaches its outcome, writes its figure, says so; and fails where it must."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

from npkernels import examples
from npkernels.examples._command import Outcome, command

NAMES = [module.name for module in pkgutil.iter_modules(examples.__path__) if module.name[0] != "_"]


@pytest.mark.parametrize("name", NAMES)
def test_an_example_reaches_its_outcome(name, tmp_path, capsys):
    program = importlib.import_module(f"npkernels.examples.{name}")
    figure = tmp_path / f"{name}.png"
    status = program.main(["--quick", "--figure", str(figure)])
    lines = capsys.readouterr().out.splitlines()
    assert status == 0, lines[-1]
    assert lines[-1].endswith(".")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        assert "No figure: matplotlib is not installed." in lines
    else:
        assert figure.read_bytes().startswith(b"\x89PNG")


def test_help_of_a_program():
    run = [sys.executable, "-m", "npkernels.examples.descent", "--help"]
    text = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert "python -m npkernels.examples.descent" in text
    assert all(option in text for option in ("--seed", "--quick", "--figure"))


def missed(seed, quick):
    """An example that does not get where it wants to."""
    return Outcome(f"Seed {seed} gave nothing.", False, lambda figure: None)


def test_an_outcome_that_is_not_reached(tmp_path, capsys, monkeypatch):
    assert command(missed, "Fails.", ["--seed", "3", "--figure", str(tmp_path / "a.png")]) == 1
    assert capsys.readouterr().out.endswith("NOT REACHED: Seed 3 gave nothing.\n")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert command(missed, "Fails.", []) == 1
    assert "No figure: matplotlib is not installed." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "-1"], "must be an integer of at least 0, got '-1'"),
        (["--figure", "a.pdf"], "must end in .png, got 'a.pdf'"),
        (["--fast"], "unrecognized arguments: --fast"),
    ],
)
def test_bad_options(arguments, message, capsys):
    with pytest.raises(SystemExit) as end:
        command(missed, "Fails.", arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err
