"""Products of many matrices of the same sizes and strides."""
from npkernels._kernels.primitives cimport strided
from npkernels._kernels.product cimport Product


# Products of matrices of the same sizes and strides: that of `g`, and others that begin elsewhere.
cdef struct Stack:
    Product g
    strided a, b                  # where A and B of each begin, in the same order
    Py_ssize_t c_bytes            # from the C of one to that of the next

cdef int stack_run(Stack* stack, Py_ssize_t count) except -1 nogil
