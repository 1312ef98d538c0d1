"""Options of `pytest benchmarks`, and the fixture that hands a benchmark its call: checked, with its threads set."""

import functools

import engine
import pytest
import rivals


def pytest_addoption(parser):
    group = parser.getgroup("npkernels")
    group.addoption("--threads", type=int, default=1, help="threads of every contender (default 1)")
    group.addoption("--dtype", default="float32", choices=("float32", "float64"), help="of all arrays")


def pytest_generate_tests(metafunc):
    if "contender" in metafunc.fixturenames:
        cases = [
            (operation, layer, rival)
            for operation in engine.operations(metafunc.module)
            for layer in operation.layers
            for rival in operation.rivals()
        ]
        ids = [f"{operation.name}-{layer.name}-{rival}" for operation, layer, rival in cases]
        metafunc.parametrize("contender", cases, ids=ids, indirect=True)


@functools.lru_cache(maxsize=1)
def prepared(operation, layer, dtype, threads):
    """The operands of a row, shared by the benchmarks of its rivals, which follow each other."""
    rivals.set_threads(threads)
    return operation(layer, dtype, threads)


@pytest.fixture
def contender(request, benchmark):
    (operation, layer, rival), config = request.param, request.config
    row = prepared(operation, layer, config.getoption("dtype"), config.getoption("threads"))
    call = getattr(row, rival)()
    if call is None:
        pytest.skip(f"{rival} has no {operation.name} of {layer.name} in {row.dtype}")
    row.check(rival, call)
    benchmark.extra_info.update(row.facts(call()))
    benchmark.group = f"{operation.name}, {layer.name} {layer.shape}, {row.dtype}, threads: {row.threads}"
    return call
