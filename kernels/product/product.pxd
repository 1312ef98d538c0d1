"""The blocked matrix product C = activation(bias + A B): one loop nest for every operation that has a product."""
from npkernels._kernels.primitives cimport activation_fn, primitives
from npkernels._kernels.runtime cimport Team
from npkernels._kernels.scalars cimport ceil_div, odd_lines

# The two operands may be matrices of any strides or come out of a packer; the result goes to a matrix or to an epilogue.
# Packers and epilogues are called from any thread, for parts that do not overlap.

# rows[(i - i0) * k_count + p - p0] = A[i, p] for i0 <= i < i0 + rows, p0 <= p < p0 + k_count
ctypedef void (*pack_a_fn)(const Product* product, Py_ssize_t i0, Py_ssize_t rows, Py_ssize_t p0, Py_ssize_t k_count,
                           char* to) noexcept nogil
# B[p, j] for p0 <= p < p0 + k_count, j0 <= j < j0 + columns as panels (kernels/product/tile.h), 0 up to whole vectors
ctypedef void (*pack_b_fn)(const Product* product, Py_ssize_t p0, Py_ssize_t k_count, Py_ssize_t j0, Py_ssize_t columns,
                           char* to) noexcept nogil
# c[(i - i0) * stride + j - j0], stride in elements, is a finished part of C: whole rows of one column block
ctypedef void (*epilogue_fn)(const Product* product, Py_ssize_t i0, Py_ssize_t rows, Py_ssize_t j0, Py_ssize_t columns,
                             char* c, Py_ssize_t stride) noexcept nogil

# Where C[0, j0:j0+columns] lies if the rows of this block are contiguous and `stride` bytes apart; NULL: in no one place,
# then the block is kept aside and goes to the epilogue when it is finished.
ctypedef char* (*place_fn)(const Product* product, Py_ssize_t j0, Py_ssize_t columns, Py_ssize_t* stride) noexcept nogil

cdef enum:
    CHAINED_VECTORS = 32          # of k: below, more rows lose more to adding the chains than one row gains
    SUM_BLOCK = 8192              # products whose sum may be one chain: its error grows with its length

# How the loops read the operands.
cdef enum AForm:
    A_IN_PLACE                    # rows contiguous: where it lies
    A_COLUMNS                     # columns contiguous, as in dw = dy^T x: slivers are copied by columns
    A_ROWS                        # any other strides, or a packer: slivers are copied by rows

cdef enum BForm:
    B_LINES                       # rows contiguous, one row of A or one of B: C is written, and B read, line by line
    B_IN_PLACE                    # rows contiguous, few tiles to a panel: panels of whole vectors are read where they lie
    B_COLUMNS                     # columns contiguous, few rows of A: transposed in registers on the way into the tile
    B_PANELS                      # the rest, or a packer: panels are copied

cdef struct Product:
    # What the caller says; strides in bytes. Zero-initialised by `product_begin`.
    const primitives* table
    Py_ssize_t m, n, k
    const char* a
    Py_ssize_t a_row, a_k
    const char* b
    Py_ssize_t b_k, b_column
    char* c                       # rows contiguous; NULL: `place` says where, or everything goes to `epilogue`
    Py_ssize_t c_row
    const char* bias              # contiguous; one a row or one a column of C
    int start                     # START_ZERO, START_ROW_BIAS or START_COLUMN_BIAS
    Py_ssize_t sum_block          # if k is more, sums of so many products each are added in double; whole units of k
    bint chained                  # elements are sums of chains (tile.h), not one chain; START_ROW_BIAS, packers: not here
    activation_fn activation      # NULL: none
    pack_a_fn pack_a              # NULL: A is the matrix above
    pack_b_fn pack_b
    place_fn place
    epilogue_fn epilogue
    void* context                 # for packers, place and epilogue
    # Runs (kernels/conv/flat.h): `pack_b` writes unit_runs runs for each k_unit rows of B, one `run_length` behind the
    # other, and row p of a block begins at runs[p]. A run is the columns of the block and `run_extra` more.
    const Py_ssize_t* runs        # k_block of them, set after the plan; NULL until then, and if B is packed as panels
    Py_ssize_t k_unit, unit_runs, run_extra
    # What `product_plan` chooses.
    Py_ssize_t run_length
    Py_ssize_t k_block, column_block, sliver, row_tasks, column_tasks
    AForm a_form
    BForm b_form
    size_t a_bytes, b_bytes, c_bytes, sum_bytes, scratch_bytes
    char* scratch                 # of callers that are parallel over products
    Team team

# The nanoseconds that one thread takes.
cdef double product_work(const Product* product) noexcept nogil
cdef void product_begin(Product* product, int typenum, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k) noexcept nogil
# Scratch bytes that one thread needs.
cdef size_t product_plan(Product* product, int threads) noexcept nogil
# One thread, in `scratch`; for callers that are parallel over products.
cdef void product_serial(const Product* product, char* scratch) noexcept nogil
# Plans and runs on all threads; -1 without a byte written when memory cannot be had.
cdef int product_run(Product* product) except -1 nogil
