"""Steps that follow each other, the units and sequences of each on several threads."""
from libc.stdint cimport int64_t

from npkernels._kernels.primitives cimport primitives
from npkernels._kernels.runtime cimport Team

# Block `block` of the units, in step i of the walk, for rows first <= r < last.
ctypedef void (*block_fn)(void* context, Py_ssize_t i, Py_ssize_t first, Py_ssize_t last, Py_ssize_t block) noexcept nogil

# Sequences sorted by length, the longest first, so that those that have a step s are the first rows of a matrix.
cdef struct Sequences:
    Py_ssize_t n, t, steps         # steps: of the longest
    const int64_t* order           # (n,): the sequence of each row
    const int64_t* lengths         # (n,): of the rows, descending
    const int64_t* starts          # (steps + 1,): rows of all steps before
    bint reverse

cdef struct Walk:
    Py_ssize_t rows, vectors, steps, blocks
    const int64_t* lengths         # of the rows
    int threads
    int groups                     # of rows, each with all its steps on one thread; 1: threads share every step
    double work                    # of all steps, ns of one thread
    block_fn block
    void* context
    Team team


cdef inline Py_ssize_t active(const Sequences* q, Py_ssize_t step) noexcept nogil:
    return q.starts[step + 1] - q.starts[step] if step < q.steps else 0


cdef inline Py_ssize_t time_of(const Sequences* q, Py_ssize_t row, Py_ssize_t step) noexcept nogil:
    return q.lengths[row] - 1 - step if q.reverse else step


# Sets all but lengths, block and context, and `blocks` for panels of at most so many vectors.
cdef void walk_plan(Walk* walk, Py_ssize_t rows, Py_ssize_t steps, Py_ssize_t vectors, Py_ssize_t widest,
                    double work) noexcept nogil
# Steps 0 <= i < steps, a part of those planned; -1 and MemoryError before anything is done.
cdef int walk_run(Walk* walk, Py_ssize_t steps) except -1 nogil
