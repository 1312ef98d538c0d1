import contextlib
import io
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import npkernels as nk


def python(code, **environment):
    """Standard output of a fresh interpreter, or its standard error if it fails."""
    run = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )
    return run.stdout.strip() if run.returncode == 0 else run.stderr


@pytest.fixture
def work(rng):
    """A product that is worth sharing, and its result."""
    x, w = rng.standard_normal((200, 300)), rng.standard_normal((250, 300))
    return (lambda: nk.dense(x, w)), nk.dense(x, w)


def test_threads_nest_and_belong_to_their_python_thread():
    before, seen = nk.get_num_threads(), []
    with nk.threads(5):
        with nk.threads(2):
            assert nk.get_num_threads() == 2
            other = threading.Thread(target=lambda: seen.append(nk.get_num_threads()))
            other.start()
            other.join()
        assert nk.get_num_threads() == 5
    assert nk.get_num_threads() == before
    assert seen == [before]


def test_one_threads_object_may_be_used_again_and_leaves_after_an_error():
    three = nk.threads(3)
    before = nk.get_num_threads()
    for _ in range(2):
        with contextlib.suppress(ZeroDivisionError), three, three:
            assert nk.get_num_threads() == 3
            raise ZeroDivisionError
        assert nk.get_num_threads() == before


def test_one_threads_object_in_two_python_threads():
    five, before, seen = nk.threads(5), nk.get_num_threads(), []
    inside, leave = threading.Event(), threading.Event()

    def other():
        with nk.threads(2):
            with five:
                inside.set()
                leave.wait(10)
                seen.append(nk.get_num_threads())
            seen.append(nk.get_num_threads())
        seen.append(nk.get_num_threads())

    thread = threading.Thread(target=other)
    with nk.threads(3):
        thread.start()
        inside.wait(10)
        with five:  # entered later, left first
            assert nk.get_num_threads() == 5
        assert nk.get_num_threads() == 3
        leave.set()
        thread.join()
        assert nk.get_num_threads() == 3
    assert nk.get_num_threads() == before
    assert seen == [5, 2, before]


def test_blocks_that_end_out_of_order_leave_nothing_behind():
    def block(n):
        with nk.threads(n):
            yield

    before = nk.get_num_threads()
    first, second = block(3), block(4)
    next(first), next(second)
    first.close()
    assert nk.get_num_threads() == 4
    second.close()
    assert nk.get_num_threads() == before


def test_a_block_must_end_in_its_own_python_thread():
    before, seen = nk.get_num_threads(), []
    block = nk.threads(before + 1)

    def leave():
        with pytest.raises(RuntimeError, match="threads must be left in the Python thread that entered it"):
            block.__exit__(None, None, None)
        seen.append(nk.get_num_threads())

    with block:
        other = threading.Thread(target=leave)
        other.start()
        other.join()
        assert nk.get_num_threads() == before + 1
    assert nk.get_num_threads() == before
    assert seen == [before]


def test_many_more_threads_than_cpus(work):
    function, wanted = work
    with nk.threads(2**31 - 1):
        assert nk.get_num_threads() == 2**31 - 1
        assert np.array_equal(function(), wanted)


def test_set_num_threads_is_process_wide():
    before, seen = nk.get_num_threads(), []
    try:
        nk.set_num_threads(np.int16(3))
        other = threading.Thread(target=lambda: seen.append(nk.get_num_threads()))
        other.start()
        other.join()
        assert seen == [3]
    finally:
        nk.set_num_threads(before)


@pytest.mark.parametrize("function", [nk.set_num_threads, nk.threads])
@pytest.mark.parametrize(
    ("n", "error", "text"),
    [
        (0, ValueError, "n must be at least 1, got 0"),
        (-2, ValueError, "n must be at least 1, got -2"),
        (2**31, ValueError, "n must be at most"),
        (2**80, ValueError, "n must fit 64 bits"),
        (1.0, TypeError, "n must be an int, got float"),
        (True, TypeError, "n must be an int, got bool"),
        ("2", TypeError, "n must be an int, got str"),
    ],
)
def test_a_bad_number_of_threads_is_named(function, n, error, text):
    with pytest.raises(error, match=text):
        function(n)


def test_use_isa_switches_and_refuses():
    before = nk.isa()
    try:
        for name in nk.available_isas():
            assert nk.use_isa(name) is None
            assert nk.isa() == name
    finally:
        nk.use_isa(before)
    with pytest.raises(ValueError, match=r"name must be one of 'generic'.*got 'sse9'"):
        nk.use_isa("sse9")
    with pytest.raises(TypeError, match="name must be a string, got int"):
        nk.use_isa(2)


def test_environment_is_read_at_import():
    code = "import npkernels as nk; print(nk.isa(), nk.get_num_threads())"
    assert python(code, NPKERNELS_ISA="generic", NPKERNELS_NUM_THREADS="7") == "generic 7"
    best = nk.available_isas()[-1]
    assert python(code, NPKERNELS_ISA="", NPKERNELS_NUM_THREADS="").split()[0] == best


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("NPKERNELS_ISA", "mmx", "ValueError: NPKERNELS_ISA must be one of 'generic'"),
        ("NPKERNELS_NUM_THREADS", "0", "ValueError: NPKERNELS_NUM_THREADS must be an int of at least 1, got '0'"),
        ("NPKERNELS_NUM_THREADS", "two", "ValueError: NPKERNELS_NUM_THREADS must be an int of at least 1, got 'two'"),
        ("NPKERNELS_NUM_THREADS", "9" * 40, "ValueError: NPKERNELS_NUM_THREADS must be an int"),
    ],
)
def test_a_bad_environment_is_named(name, value, text):
    assert text in python("import npkernels", **{name: value})


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_default_number_of_threads_follows_the_affinity():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); import npkernels; "
    code += "print(npkernels.get_num_threads())"
    assert python(code, NPKERNELS_NUM_THREADS="") == "1"


def test_show_config_prints(capsys):
    assert nk.show_config() is None
    text = capsys.readouterr().out
    assert nk.__version__ in text
    assert nk.isa() in text
    assert f"threads          {nk.get_num_threads()} of" in text
    with contextlib.redirect_stdout(io.StringIO()) as other:
        nk.show_config()
    assert other.getvalue() == text


def child_succeeds(function):
    """Runs `function` in a forked child; a child that hangs is killed."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            status = 0 if function() else 2
        finally:
            os._exit(status)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.005)
    os.kill(process, 9)
    os.waitpid(process, 0)
    return False


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_parent_and_child_go_on_after_fork(work):
    function, wanted = work
    with nk.threads(3):
        function()
        for _ in range(5):
            assert child_succeeds(lambda: np.array_equal(function(), wanted) and np.array_equal(function(), wanted))
            assert np.array_equal(function(), wanted)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_fork_while_another_thread_is_inside_a_kernel(work):
    function, wanted = work
    stop = threading.Event()

    def busy():
        with nk.threads(3):
            while not stop.is_set():
                function()

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        with nk.threads(3):
            for _ in range(20):
                assert child_succeeds(lambda: np.array_equal(function(), wanted))
    finally:
        stop.set()
        thread.join()


def test_eight_python_threads_at_once(work):
    function, wanted = work
    wrong = []

    def call():
        with nk.threads(4):
            wrong.extend(1 for _ in range(20) if not np.array_equal(function(), wanted))

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_idle_threads_sleep(work):
    function, _ = work
    with nk.threads(4):
        function()
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.03


def test_interpreter_exit_neither_waits_nor_crashes():
    code = (
        "import numpy as np, npkernels as nk; nk.set_num_threads(4); nk.dense(np.ones((300, 300)), np.ones((300, 300)))"
    )
    start = time.monotonic()
    assert python(code) == ""
    assert time.monotonic() - start < 10


def test_import_does_not_import_threadpoolctl():
    code = (
        "import sys, npkernels; print([m for m in ('threadpoolctl', 'sklearn', 'scipy', 'torch') if m in sys.modules])"
    )
    assert python(code) == "[]"
