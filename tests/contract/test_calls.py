"""The registry of random calls (fuzz/calls.py) holds every kernel and draws what they take."""

import numpy as np
import pytest
from fuzz.calls import CALLS, OUT
from fuzz.run import NAMES, draw, results, same

import npkernels as nk

NO_KERNELS = {
    "ReceptiveField", "available_isas", "conv_output_size", "get_num_threads", "isa", "receptive_field",
    "set_num_threads", "show_config", "threads", "use_isa",
}  # fmt: skip


def test_every_kernel_has_calls():
    assert {name for name in nk.__all__ if callable(getattr(nk, name))} - NO_KERNELS == set(CALLS)
    assert set(OUT) <= set(CALLS)


@pytest.mark.parametrize("name", NAMES)
def test_calls_are_valid_and_repeat(name):
    for seed in range(6):
        first, again = (results(draw(name, seed)) for _ in range(2))
        assert all(isinstance(array, np.ndarray) for array in first)
        assert same(first, again), f"{name}, seed {seed}"
