from libc.stdint cimport int64_t
from libc.string cimport memset

from npkernels._kernels.primitives cimport panel_count
from npkernels._kernels.runtime cimport team_begin, team_end, team_run, threads_for
from npkernels._kernels.scalars cimport round_up

cdef extern from "turns.h" nogil:
    ctypedef struct turn:
        int64_t value
    bint turn_take(turn* block, int64_t step)
    void turn_end(turn* done)
    int64_t turns_done(const turn* done)
    void turns_wait(const turn* done, int64_t wanted)

cdef enum:
    GROUP_ROWS = 8                 # that a group has at least
    STEP_NS = 2000                 # work of a thread in a step, for which it is worth waiting for each other


cdef void walk_plan(Walk* w, Py_ssize_t rows, Py_ssize_t steps, Py_ssize_t vectors, Py_ssize_t widest,
                    double work) noexcept nogil:
    # Groups never wait for each other, but each reads all weights in every step: for few rows that is what takes the time.
    w.rows, w.steps, w.vectors, w.work, w.groups = rows, steps, vectors, work, 1
    w.threads = threads_for(work, rows * vectors)
    w.blocks = panel_count(vectors, widest)
    if rows >= GROUP_ROWS * w.threads:
        w.groups = w.threads
    elif w.threads > 1:
        w.threads = threads_for(min(work, work / steps * (20000.0 / STEP_NS)), vectors)
        w.blocks = min(vectors, round_up(w.blocks, w.threads))


cdef int walk_run(Walk* w, Py_ssize_t steps) except -1 nogil:
    cdef double work = w.work * steps / w.steps
    cdef Py_ssize_t i, block
    if w.threads == 1:
        for i in range(steps):
            for block in range(w.blocks):
                w.block(w.context, i, 0, w.rows, block)
        return 0
    w.steps, w.work = steps, work
    team_begin(&w.team, work, w.threads, <size_t>(w.blocks + 1) * sizeof(turn), 0)
    memset(w.team.shared, 0, <size_t>(w.blocks + 1) * sizeof(turn))
    team_run(&w.team, walk_group if w.groups > 1 else walk_together, w, w.threads, work)
    team_end()
    return 0


cdef Py_ssize_t group_end(const Walk* w, Py_ssize_t group) noexcept nogil:
    # Groups of like many steps; sequences that are longer than what is walked here count all the same.
    cdef double total = 0, sum = 0
    cdef Py_ssize_t r
    for r in range(w.rows):
        total += w.lengths[r]
    for r in range(w.rows):
        if sum * w.groups >= total * (group + 1):
            return r
        sum += w.lengths[r]
    return w.rows


cdef void walk_group(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Walk* w = <const Walk*>context
    cdef Py_ssize_t begin = 0 if first == 0 else group_end(w, first - 1), end = group_end(w, last - 1), i, block
    for i in range(w.steps):
        for block in range(w.blocks):
            w.block(w.context, i, begin, end, block)


cdef void walk_together(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Each thread begins with blocks of its own, whose weights stay in its cache, and then takes what others have left.
    cdef const Walk* w = <const Walk*>context
    cdef turn* blocks = <turn*>w.team.shared
    cdef turn* done = blocks + w.blocks
    cdef Py_ssize_t own = first * w.blocks // w.threads, j, block
    cdef int64_t i = turns_done(done) // w.blocks
    while i < w.steps:
        for j in range(w.blocks):
            block = (own + j) % w.blocks
            if turn_take(blocks + block, i):
                w.block(w.context, <Py_ssize_t>i, 0, w.rows, block)
                turn_end(done)
        i += 1
        turns_wait(done, i * w.blocks)
