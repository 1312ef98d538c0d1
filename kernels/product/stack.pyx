"""Products of many matrices of the same sizes and strides."""
from npkernels._kernels.product cimport Product, product_plan, product_run, product_serial, product_work
from npkernels._kernels.runtime cimport slot_of, team_begin, team_end, team_run, threads_for
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
    cdef double work = product_work(g)
    cdef int threads = threads_for(work, g.m * g.n)
    if threads > 1 and count < STACK_TASKS * threads:
        for i in range(count):
            set_matrices(&one, v, i)
            product_run(&one)
        return 0
    product_plan(g, 1)
    team_begin(&g.team, work * count, count, 0, g.scratch_bytes)
    team_run(&g.team, run_matrices, v, count, work * count)
    team_end()
    return 0


cdef void run_matrices(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Stack* v = <const Stack*>context
    cdef Product g = v.g
    cdef Py_ssize_t i
    for i in range(first, last):
        set_matrices(&g, v, i)
        product_serial(&g, slot_of(&v.g.team, slot))
