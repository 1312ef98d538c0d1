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
cdef int num_threads() noexcept nogil
cdef void parallel_for(task_fn f, void* context, Py_ssize_t count, Py_ssize_t grain, int threads) noexcept nogil
cdef void* workspace(size_t bytes) noexcept nogil
cdef void workspace_done() noexcept nogil
# A new array in C order; a size that overflows is ValueError.
cdef cnp.ndarray empty_array(int axes, const cnp.npy_intp* shape, int typenum)
