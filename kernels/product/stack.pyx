"""Products of many matrices of the same sizes and strides."""
from npkernels._kernels.product cimport FLOP_PER_BYTE, SERIAL_FLOP, Product, product_plan, product_run, product_serial
from npkernels._kernels.runtime cimport num_threads, parallel_for, workspace, workspace_done
from npkernels._kernels.strided cimport offset_of

cdef enum:
    STACK_TASKS = 4                # fewer matrices a thread could leave one thread with the last of them


cdef inline void set_matrices(Product* g, const Stack* v, Py_ssize_t i) noexcept nogil:
    g.a, g.b, g.c = v.a.data + offset_of(&v.a, i), v.b.data + offset_of(&v.b, i), v.g.c + i * v.c_bytes


cdef int stack_run(Stack* v, Py_ssize_t count) except -1 nogil:
    # Few and large: each on all threads. Else each is one thread's.
    cdef Product* g = &v.g
    cdef Product one = v.g
    cdef Py_ssize_t i
    cdef double flop = 2.0 * g.m * g.n * g.k
    cdef double work = flop + FLOP_PER_BYTE * g.table.itemsize * (<double>g.m * g.k + <double>g.k * g.n + <double>g.m * g.n)
    cdef int threads = num_threads()
    if work >= SERIAL_FLOP and count < STACK_TASKS * threads:
        for i in range(count):
            set_matrices(&one, v, i)
            product_run(&one)
        return 0
    threads = 1 if work * count < SERIAL_FLOP else <int>min(<Py_ssize_t>threads, count)
    product_plan(g, 1)
    g.scratch = <char*>workspace(max(<size_t>64, g.scratch_bytes * <size_t>threads))
    if g.scratch == NULL:
        raise MemoryError("no memory for the packed operands of a product")
    parallel_for(run_matrices, v, count, <Py_ssize_t>max(1.0, min(SERIAL_FLOP / (8 * work + 1), count / (3.0 * threads))),
                 threads)
    workspace_done()
    return 0


cdef void run_matrices(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Stack* v = <const Stack*>context
    cdef Product g = v.g
    cdef Py_ssize_t i
    for i in range(first, last):
        set_matrices(&g, v, i)
        product_serial(&g, v.g.scratch + <size_t>slot * v.g.scratch_bytes)
