"""The runtime under all kernels: the table of primitives in use, the thread pool, scratch memory."""
cimport numpy as cnp
from libc.string cimport memset

from npkernels._kernels.primitives cimport primitives, primitives_of
from npkernels._kernels.scalars cimport round_to_line

cdef extern from "cpu.h" nogil:
    ctypedef struct cpu_caches:
        Py_ssize_t l1d, l2, l3
    int cpu_supports(int isa)
    int isa_in_use()
    void isa_use(int isa)
    int cpu_count()
    cpu_caches cpu_cache_sizes()

cdef extern from "threads.h" nogil:
    void c_parallel_for "parallel_for"(task_fn f, void* context, Py_ssize_t count, Py_ssize_t grain, int threads)
    int threads_get()
    void threads_set(int n)
    void threads_override(int n)
    void threads_init(int n)

cdef extern from "worth.h" nogil:
    int threads_worth(double ns, Py_ssize_t tasks, int most)
    Py_ssize_t grain_worth(double ns, Py_ssize_t count, int threads)
    void threads_missed(double ns)
    void threads_always(int always)

cdef extern from "pages.h" nogil:
    int pages_are_untouched(const void* array, size_t bytes)

cdef extern from "workspace.h" nogil:
    void* c_workspace "workspace"(size_t bytes)
    void workspace_trim()
    void workspace_poison(int byte)

cnp.import_array()

ISAS = ("generic", "avx2", "avx512")   # by rising level, numbered as in cpu.h

cdef enum:
    OWN_L3 = 64 << 20
    STREAMED_BYTES = 18 << 20

cdef CacheSizes caches
cdef int most_threads = 1
cdef int poison_byte = -1          # what new arrays and scratch memory are filled with, -1: not


cdef const primitives* primitives_for(int typenum) noexcept nogil:
    return primitives_of(isa_in_use(), 32 if typenum == cnp.NPY_FLOAT else 64)


cdef CacheSizes cache_sizes() noexcept nogil:
    return caches


cdef bint worth_streaming(Py_ssize_t bytes, const void* result, Py_ssize_t result_bytes) noexcept nogil:
    # Streamed memory is not fetched first and drives out nothing that is read. Measured with 32 MB of L3: 1.1 to 1.3 times
    # faster than stores through the caches from three quarters of it on, and 1.4 times slower at half of it. More L3 is shared
    # by many processors; of 260 MB, two with layers that read each other's results saw so little that streaming was 6 % slower
    # at 18 MB, 6 % faster at 24 and 1.7 times at 128; alone it was 1.1 to 1.4 times faster from 18 MB on. The system's zeros
    # are in the caches, dirty: over these, streaming was 1.15 to 1.3 times slower.
    if bytes < (caches.l3 // 4 * 3 if caches.l3 <= OWN_L3 else <Py_ssize_t>STREAMED_BYTES):
        return False
    return not pages_are_untouched(result, <size_t>result_bytes)


cdef int num_threads() noexcept nogil:
    # A number far beyond the CPUs is legal; scratch memory for so many threads would not be.
    return min(threads_get(), most_threads)


cdef int threads_for(double work, Py_ssize_t tasks) noexcept nogil:
    return threads_worth(work, tasks, num_threads())


cdef int team_begin(Team* team, double work, Py_ssize_t tasks, size_t shared_bytes, size_t slot_bytes) except -1 nogil:
    cdef size_t shared = round_to_line(shared_bytes), threads
    team.threads = threads_for(work, tasks)
    team.slot_bytes, threads = round_to_line(slot_bytes), <size_t>team.threads
    team.shared = NULL
    if max(shared_bytes, slot_bytes) < (<size_t>-1) // (2 * (threads + 1)):
        team.shared = <char*>c_workspace(shared + threads * team.slot_bytes)
    if team.shared == NULL:
        with gil:
            raise MemoryError(f"no memory for {shared_bytes} bytes and {slot_bytes} for each of {threads} threads")
    team.slots = team.shared + shared
    return 0


cdef void team_run(const Team* team, task_fn f, void* context, Py_ssize_t count, double work) noexcept nogil:
    cdef int threads = 1 if team.threads == 1 else threads_worth(work, count, team.threads)
    if count == 0:
        return
    c_parallel_for(f, context, count, count if threads == 1 else grain_worth(work, count, threads), threads)
    if threads == 1:
        threads_missed(work)


cdef void team_end() noexcept nogil:
    workspace_trim()


cdef void parallel_for(task_fn f, void* context, Py_ssize_t count, Py_ssize_t grain, int threads) noexcept nogil:
    c_parallel_for(f, context, count, grain, threads)


cdef void* workspace(size_t bytes) noexcept nogil:
    return c_workspace(bytes)


cdef void workspace_done() noexcept nogil:
    workspace_trim()


cdef cnp.ndarray empty_array(int axes, const cnp.npy_intp* shape, int typenum):
    cdef cnp.ndarray array = cnp.PyArray_EMPTY(axes, <cnp.npy_intp*>shape, typenum, 0)
    if poison_byte >= 0:
        memset(cnp.PyArray_DATA(array), poison_byte, <size_t>cnp.PyArray_NBYTES(array))
    return array


def poison(int byte):
    """For tests: memory that nobody wrote, results and scratch, holds this byte; -1: whatever was there."""
    global poison_byte
    poison_byte = byte
    workspace_poison(byte)


def share_always(bint always):
    """For tests: all threads take part in all work, however little."""
    threads_always(always)


def available_isas():
    """The names of the instruction sets that this build holds and this machine runs, by rising level."""
    return tuple(name for level, name in enumerate(ISAS) if cpu_supports(level) and primitives_of(level, 32) != NULL)


def isa():
    return ISAS[isa_in_use()]


def use_isa(str name):
    """`name` is one of `available_isas()`; the caller has checked it."""
    isa_use(ISAS.index(name))


def cpus():
    return cpu_count()


def cache_sizes_in_bytes():
    return {"L1d": caches.l1d, "L2": caches.l2, "L3": caches.l3}


def get_num_threads():
    return threads_get()


def set_num_threads(int n):
    threads_set(n)


def override_num_threads(int n):
    """For the calling thread only; 0 takes the override back."""
    threads_override(n)


cdef int initialise() except -1:
    global caches, most_threads
    cdef cpu_caches sizes = cpu_cache_sizes()
    caches.l1d, caches.l2, caches.l3 = sizes.l1d, sizes.l2, sizes.l3
    threads_init(cpu_count())
    most_threads = max(64, 2 * cpu_count())
    use_isa(max(available_isas(), key=ISAS.index))
    return 0


initialise()
