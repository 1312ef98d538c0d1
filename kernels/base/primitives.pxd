# The table of primitives as Cython sees it; declarations only. Each room declares its own in <room>_table.pxd.

from libc.stdint cimport uint8_t

from npkernels._kernels.attention_table cimport *
from npkernels._kernels.cluster_table cimport *
from npkernels._kernels.conv_table cimport *
from npkernels._kernels.elementwise_table cimport *
from npkernels._kernels.embedding_table cimport *
from npkernels._kernels.logits_table cimport *
from npkernels._kernels.neighbours_table cimport *
from npkernels._kernels.norm_table cimport *
from npkernels._kernels.pool_table cimport *
from npkernels._kernels.product_table cimport *
from npkernels._kernels.recurrent_table cimport *
from npkernels._kernels.sampling_table cimport *


cdef extern from "primitives.h" nogil:
    ctypedef struct row_primitives:
        double (*sum)(Py_ssize_t count, const void* x) noexcept nogil
        void (*means)(Py_ssize_t rows, Py_ssize_t count, const void* x, Py_ssize_t stride, void* y) noexcept nogil
        void (*maxima)(Py_ssize_t rows, Py_ssize_t count, const void* x, Py_ssize_t stride, void* y) noexcept nogil
        void (*add)(Py_ssize_t count, const void* x, void* sum) noexcept nogil
        void (*add_to_doubles)(Py_ssize_t count, const void* x, double* sums) noexcept nogil
        void (*narrow)(Py_ssize_t count, const double* x, void* y) noexcept nogil

    enum:
        STRIDED_AXES
    ctypedef struct strided:
        char* data
        int axes
        Py_ssize_t shape[STRIDED_AXES]
        Py_ssize_t strides[STRIDED_AXES]
    ctypedef struct strided_primitives:
        void (*gather)(const strided* array, Py_ssize_t first, Py_ssize_t count, void* to) noexcept nogil
        void (*scatter)(const strided* array, Py_ssize_t first, Py_ssize_t count, const void* source) noexcept nogil
        void (*gather_bytes)(const strided* array, Py_ssize_t first, Py_ssize_t count, uint8_t* to) noexcept nogil

    ctypedef struct primitives:
        Py_ssize_t itemsize, lanes
        void (*fence)() noexcept nogil
        const tile_primitives* tile
        const pack_primitives* pack
        const activation_primitives* activation
        const attention_primitives* attention
        const embedding_primitives* embedding
        const channelwise_primitives* channelwise
        const cluster_primitives* cluster
        const distance_primitives* distance
        const neighbour_primitives* neighbours
        const pairwise_primitives* pairwise
        const gram_primitives* gram
        const conv_primitives* conv
        const flat_primitives* flat
        const depthwise_primitives* depthwise
        const winograd_primitives* winograd
        const row_primitives* rows
        const softmax_primitives* softmax
        const strided_primitives* strided
        const optim_primitives* optim
        const loss_primitives* loss
        const pair_primitives* pairs
        const norm_primitives* norm
        const row_norm_primitives* row_norm
        const dropout_primitives* dropout
        const pool_primitives* pool
        const pool_index_primitives* pool_indices
        const pool_backward_primitives* pool_backward
        const narrow_pool_primitives* narrow_pool
        const adaptive_primitives* adaptive
        const recurrent_primitives* recurrent
        const resample_primitives* resample
        const grid_primitives* grid
        const grid_gradient_primitives* grid_gradient
    const primitives* primitives_of(int isa, int bits)
