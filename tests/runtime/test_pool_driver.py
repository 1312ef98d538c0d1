"""The thread pool in a C program of its own: several callers, nested calls and forks at once, with and without
ThreadSanitizer and futexes."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import npkernels as nk

DRIVER = Path(__file__).parent / "pool_driver.c"
RUNTIME = DRIVER.parents[2] / "kernels" / "base" / "runtime"
COMPILER = os.environ.get("CC", "cc").split()

pytestmark = [
    pytest.mark.skipif(shutil.which(COMPILER[0]) is None, reason="no C compiler"),
    pytest.mark.skipif(nk.isa() != nk.available_isas()[-1], reason="the pool has no instruction sets: once is enough"),
]


def run(folder, source, flags, *arguments):
    """What the program prints; None if it cannot be built or run under these flags at all."""
    program = folder / "program"
    build = [*COMPILER, "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", *flags, *source]
    if subprocess.run([*build, "-o", program], capture_output=True, timeout=60).returncode:
        return None
    ended = subprocess.run(
        [program, *map(str, arguments)],
        env={**os.environ, "TSAN_OPTIONS": "die_after_fork=0"},  # children of the driver start threads of their own
        capture_output=True,
        text=True,
        timeout=120,
    )
    return f"{ended.stdout}{ended.stderr}ended with {ended.returncode}"


@pytest.fixture(params=[[], ["-fsanitize=thread"]], ids=["plain", "tsan"])
def sanitizer(request, tmp_path):
    empty = tmp_path / "empty.c"
    empty.write_text("int main(void) { return 0; }")
    if request.param and run(tmp_path, [empty], request.param) != "ended with 0":
        pytest.skip("no ThreadSanitizer here")
    return request.param


@pytest.mark.parametrize("parking", [[], ["-DNPK_NO_FUTEX"]], ids=["futex", "portable"])
def test_many_callers_nested_calls_and_forks(tmp_path, sanitizer, parking):
    source = [DRIVER, RUNTIME / "threads.c"]
    forks = 10 if sanitizer else 40
    flags = [*sanitizer, *parking, f"-I{RUNTIME}"]
    assert run(tmp_path, source, flags, 300, forks) == "0 faults\nended with 0"
