"""Attention over heads: what its forward and its backward pass share."""
cimport numpy as cnp

from npkernels._kernels.primitives cimport primitives, strided
from npkernels._kernels.runtime cimport Team

cdef enum Mask:
    UNMASKED
    ADDED                         # numbers that are added to scores
    SEEN                          # bytes: not 0 where a query sees a key

cdef enum Weights:                # which factor of a product they are; terms with a weight of 0 do not count then
    ANY_TERMS
    WEIGHTS_IN_A
    WEIGHTS_IN_B

# A matrix for every head
cdef struct Rows:
    char* data
    strided heads                 # where that of each head begins
    Py_ssize_t row, column        # bytes

# One matrix; steps in elements
cdef struct Matrix:
    char* data
    Py_ssize_t row, column

cdef struct Attention:
    const primitives* table
    Rows q, k, v, mask            # (heads, lq, d), (heads, lk, d), (heads, lk, dv), (heads, lq, lk)
    int masked
    bint causal
    Py_ssize_t heads, lq, lk, d, dv
    double factor                 # of scores, in units of log 2
    # Panels of queries and blocks of keys. No sum is a chain over more than a part of the keys: parts are merged in their order,
    # on however many threads they were computed.
    Py_ssize_t vectors, panels, block, part, parts
    Py_ssize_t width              # the most queries of a panel
    bint k_in_place, v_in_place
    Team team

cdef struct Panel:                # of queries
    Py_ssize_t head, first, count, vectors, width, keys   # keys: so many are seen


cdef inline Matrix matrix(char* data, Py_ssize_t row, Py_ssize_t column) noexcept nogil:
    cdef Matrix m
    m.data, m.row, m.column = data, row, column
    return m


cdef void set_rows(Rows* to, cnp.ndarray x) noexcept
cdef void attention_begin(Attention* g, cnp.ndarray q, cnp.ndarray k, cnp.ndarray v, cnp.ndarray mask, bint causal,
                          double scale) noexcept
# The nanoseconds that one thread takes for so many multiply-adds a score and number of a head.
cdef double attention_work(const Attention* g, double products) noexcept nogil
cdef Panel panel_of(const Attention* g, Py_ssize_t head, Py_ssize_t index) noexcept nogil
# Bytes of `head_rows`, and keys or values of a head: in place, or packed there.
cdef size_t packed_bytes(const Attention* g) noexcept nogil
cdef void head_rows(const Attention* g, Py_ssize_t head, char* packed, Py_ssize_t* held, Matrix* k, Matrix* v) noexcept nogil
# c[m, n] = (c if started) + a[m, k] b[k, n]; B in whole vectors
cdef void multiply(const primitives* t, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, Matrix a, Matrix b, Matrix c, bint started,
                   int weights) noexcept nogil
# Queries of a panel as columns: to[c * width + i] = rows[i, c] factor
cdef void load_columns(const Attention* g, const Rows* rows, Py_ssize_t size, const Panel* p, double factor,
                       char* to) noexcept nogil
# s = the scores of keys j to j + keys, those that are hidden -inf; False, and nothing, where the mask hides all. `mask`: scratch
# of the size of s.
cdef bint scores(const Attention* g, const Panel* p, Matrix k, Py_ssize_t j, Py_ssize_t keys, const char* q, char* mask,
                 char* s) noexcept nogil
