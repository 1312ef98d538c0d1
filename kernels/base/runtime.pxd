cimport numpy as cnp

from npkernels._kernels.primitives cimport primitives

ctypedef void (*task_fn)(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil

cdef struct CacheSizes:
    Py_ssize_t l1d, l2, l3

# Once a call: another thread may choose another instruction set meanwhile, and what one table has packed the other cannot read.
cdef const primitives* primitives_for(int typenum) noexcept nogil
cdef CacheSizes cache_sizes() noexcept nogil
# Whether a result should go past the caches; bytes: of operands and result together.
cdef bint worth_streaming(Py_ssize_t bytes, const void* result, Py_ssize_t result_bytes) noexcept nogil

# The threads of a call and their memory. A call begins a team with all its work, runs its passes, and ends the team.
cdef struct Team:
    int threads
    char* shared               # whole lines of the cache
    char* slots                # `slot_bytes` for each thread, whole lines
    size_t slot_bytes

cdef enum:
    LANE_FLOPS = 8             # of a core in a nanosecond and lane: four multiply-adds; measured 5 to 7 in products
    CACHE_BYTES = 64           # that a core reads and writes in a nanosecond, from L2 and L3; measured 55 to 90


# Work: the nanoseconds that one thread takes, within a factor of 2 where they are few. A multiply-add is 2 flops.
cdef inline double work_of(const primitives* table, double flops, double bytes) noexcept nogil:
    return flops / (LANE_FLOPS * table.lanes) + bytes / CACHE_BYTES


# The memory of one thread; tasks find out with their `slot`.
cdef inline char* slot_of(const Team* team, int slot) noexcept nogil:
    return team.slots + <size_t>slot * team.slot_bytes


# The one decision: how many threads are worth it (runtime/worth.c) for work that can be cut into `tasks`.
cdef int threads_for(double work, Py_ssize_t tasks) noexcept nogil
# -1 and MemoryError when memory cannot be had. One team at a time on a thread.
cdef int team_begin(Team* team, double work, Py_ssize_t tasks, size_t shared_bytes, size_t slot_bytes) except -1 nogil
# f(context, first, last, slot) over [0, count) in ascending order, several tasks at a time where they are short.
cdef void team_run(const Team* team, task_fn f, void* context, Py_ssize_t count, double work) noexcept nogil
cdef void team_end() noexcept nogil

# What teams stand on.
cdef int num_threads() noexcept nogil
cdef void parallel_for(task_fn f, void* context, Py_ssize_t count, Py_ssize_t grain, int threads) noexcept nogil
cdef void* workspace(size_t bytes) noexcept nogil
cdef void workspace_done() noexcept nogil

# A new array in C order; a size that overflows is ValueError.
cdef cnp.ndarray empty_array(int axes, const cnp.npy_intp* shape, int typenum)
