"""Nearest centroids, and what a block of samples adds to the next centroids.

The nearest centroid is the one of the largest score (x - m).(c - m) - |c - m|^2 / 2 (kernels/simd/cluster.h). Up to
FEW_FEATURES features, vectors hold samples; beyond, scores are a product whose epilogue keeps the best of each row.
"""
from libc.stdint cimport int32_t
from libc.string cimport memset
cimport numpy as cnp

from npkernels._primitives cimport FEW_FEATURES, START_COLUMN_BIAS, primitives
from npkernels._product cimport Product, product_begin, product_run
from npkernels._runtime cimport num_threads, parallel_for, primitives_for, workspace, workspace_done

cnp.import_array()

cdef struct Assignment:
    const primitives* table
    const char* x                            # (n, d)
    Py_ssize_t n, d, k, row, column          # strides of x in bytes
    const char* mean                         # (d,)
    const char* centred                      # (k, d), c - m
    const char* start                        # (k,), -|c - m|^2 / 2
    char* best                               # (n,), the largest score
    int32_t* labels                          # (n,)
    char* scratch
    size_t scratch_bytes
    # for accumulate
    const char* centroids                    # (k, d)
    const double* weights                    # (n,) or NULL
    double* sums                             # (parts, k, d)
    double* counts                           # (parts, k)
    double* inertia                          # (parts,)
    char* distances                          # (n,) or NULL
    Py_ssize_t parts


cdef enum:
    ROWS = 256                               # samples that are gathered at a time


cdef int set_samples(Assignment* v, cnp.ndarray x, cnp.ndarray centroids) except -1:
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    v.x = <const char*>cnp.PyArray_DATA(x)
    v.n, v.d, v.k = cnp.PyArray_DIMS(x)[0], cnp.PyArray_DIMS(x)[1], cnp.PyArray_DIMS(centroids)[0]
    v.row, v.column = cnp.PyArray_STRIDES(x)[0], cnp.PyArray_STRIDES(x)[1]
    return 0


cdef const char* gather_rows(const Assignment* v, Py_ssize_t first, Py_ssize_t count, char* buffer,
                             Py_ssize_t* row) noexcept nogil:
    # Rows of contiguous features: x itself, or `count` rows of it in the buffer.
    cdef const char* x = v.x + first * v.row
    if v.column == v.table.itemsize or v.d == 1:
        row[0] = v.row
        return x
    row[0] = v.d * v.table.itemsize
    v.table.pack.rows(count, v.d, x, v.row, v.column, buffer)
    return buffer


cdef void assign_few_features(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Assignment* v = <const Assignment*>context
    cdef Py_ssize_t i, count, row
    cdef const char* x
    i = first * ROWS
    last = min(last * ROWS, v.n)
    while i < last:
        count = min(<Py_ssize_t>ROWS, last - i)
        x = gather_rows(v, i, count, v.scratch + <size_t>slot * v.scratch_bytes, &row)
        v.table.cluster.few_features(count, v.d, v.k, x, row, v.mean, v.centred, v.start,
                                     v.best + i * v.table.itemsize, v.labels + i)
        i += count


cdef void centre_rows(const Product* g, Py_ssize_t i0, Py_ssize_t rows, Py_ssize_t p0, Py_ssize_t k_count,
                      char* to) noexcept nogil:
    cdef const Assignment* v = <const Assignment*>g.context
    g.table.cluster.centre(rows, k_count, v.x + i0 * v.row + p0 * v.column, v.row, v.column,
                           v.mean + p0 * g.table.itemsize, to)


cdef void keep_best(const Product* g, Py_ssize_t i0, Py_ssize_t rows, Py_ssize_t j0, Py_ssize_t columns, char* c,
                    Py_ssize_t stride) noexcept nogil:
    # Blocks of columns come in ascending order, so the lowest index of equal scores stays.
    cdef const Assignment* v = <const Assignment*>g.context
    cdef Py_ssize_t i, size = g.table.itemsize
    for i in range(rows):
        g.table.cluster.best_score(columns, c + i * stride * size, <int32_t>j0, v.best + (i0 + i) * size,
                                   v.labels + i0 + i)


def assign(
    cnp.ndarray x,           # IN (n, d)
    cnp.ndarray mean,        # IN (d,), C-contiguous
    cnp.ndarray centred,     # IN (k, d), C-contiguous: c - m
    cnp.ndarray start,       # IN (k,), C-contiguous: -|c - m|^2 / 2
    cnp.ndarray best,        # IN -inf, OUT (n,), C-contiguous: the largest score
    cnp.ndarray labels,      # IN -1, OUT (n,) int32, C-contiguous
):
    cdef Assignment v
    cdef Product g
    cdef int threads = num_threads()
    cdef Py_ssize_t grain
    set_samples(&v, x, centred)
    v.mean, v.centred = <const char*>cnp.PyArray_DATA(mean), <const char*>cnp.PyArray_DATA(centred)
    v.start, v.best = <const char*>cnp.PyArray_DATA(start), <char*>cnp.PyArray_DATA(best)
    v.labels = <int32_t*>cnp.PyArray_DATA(labels)
    if v.d > FEW_FEATURES:
        product_begin(&g, cnp.PyArray_TYPE(x), v.n, v.k, v.d)
        g.b, g.b_k, g.b_column = v.centred, g.table.itemsize, v.d * g.table.itemsize
        g.bias, g.start, g.whole_rows = v.start, START_COLUMN_BIAS, True
        g.pack_a, g.epilogue, g.context = centre_rows, keep_best, &v
        with nogil:
            product_run(&g)
        return
    v.scratch_bytes = ROWS * FEW_FEATURES * v.table.itemsize
    grain = max(1, 200000 // (ROWS * v.d * (v.k + 8)))
    with nogil:
        v.scratch = <char*>workspace(v.scratch_bytes * <size_t>threads)
        if v.scratch == NULL:
            raise MemoryError("no memory to gather samples")
        parallel_for(assign_few_features, &v, (v.n + ROWS - 1) // ROWS, grain, threads)
        workspace_done()


cdef void add_part(const Assignment* v, Py_ssize_t part, char* buffer) noexcept nogil:
    # Samples n part / parts up to n (part + 1) / parts, in ascending order.
    cdef Py_ssize_t i = v.n * part // v.parts, last = v.n * (part + 1) // v.parts, count, row, r, label, size = v.table.itemsize
    cdef double* sums = v.sums + part * v.k * v.d
    cdef double* counts = v.counts + part * v.k
    cdef double inertia = 0, weight = 1, distance
    cdef const char* x
    memset(sums, 0, <size_t>(v.k * v.d) * sizeof(double))
    memset(counts, 0, <size_t>v.k * sizeof(double))
    while i < last:
        count = min(<Py_ssize_t>ROWS, last - i)
        x = gather_rows(v, i, 1 if v.d > 4096 else count, buffer, &row)
        if v.d > 4096:
            count = 1
        for r in range(count):
            label = v.labels[i + r]
            if v.weights != NULL:
                weight = v.weights[i + r]
            v.table.cluster.accumulate(v.d, x + r * row, weight, sums + label * v.d)
            counts[label] += weight
            distance = v.table.cluster.squared_distance(v.d, x + r * row, v.centroids + label * v.d * size)
            inertia += weight * distance
        i += count
    v.inertia[part] = inertia


cdef void add_parts(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Assignment* v = <const Assignment*>context
    cdef Py_ssize_t part
    for part in range(first, last):
        add_part(v, part, v.scratch + <size_t>slot * v.scratch_bytes)


cdef void distance_rows(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Assignment* v = <const Assignment*>context
    cdef Py_ssize_t i, row, size = v.table.itemsize
    cdef const char* x
    cdef double distance
    for i in range(first, last):
        x = gather_rows(v, i, 1, v.scratch + <size_t>slot * v.scratch_bytes, &row)
        distance = v.table.cluster.squared_distance(v.d, x, v.centroids + v.labels[i] * v.d * size)
        if size == sizeof(float):
            (<float*>v.distances)[i] = <float>distance
        else:
            (<double*>v.distances)[i] = distance


cdef int run_rows(Assignment* v, Py_ssize_t tasks, Py_ssize_t grain) except -1 nogil:
    # add_parts, or distance_rows where distances are wanted, with room for the rows that they gather
    cdef int threads = num_threads()
    v.scratch_bytes = <size_t>((ROWS if v.d <= 4096 else 1) * v.d * v.table.itemsize) if v.column != v.table.itemsize else 64
    v.scratch = <char*>workspace(v.scratch_bytes * <size_t>threads)
    if v.scratch == NULL:
        raise MemoryError("no memory to gather samples")
    parallel_for(add_parts if v.distances == NULL else distance_rows, v, tasks, grain, threads)
    workspace_done()
    return 0


def squared_distances(
    cnp.ndarray x,           # IN (n, d)
    cnp.ndarray centroids,   # IN (k, d), C-contiguous
    cnp.ndarray labels,      # IN (n,) int32, C-contiguous, in range
    cnp.ndarray distances,   # OUT (n,), C-contiguous
):
    cdef Assignment v
    set_samples(&v, x, centroids)
    v.centroids, v.labels = <const char*>cnp.PyArray_DATA(centroids), <int32_t*>cnp.PyArray_DATA(labels)
    v.distances = <char*>cnp.PyArray_DATA(distances)
    with nogil:
        run_rows(&v, v.n, max(1, 65536 // v.d))


def accumulate(
    cnp.ndarray x,           # IN (n, d)
    cnp.ndarray centroids,   # IN (k, d), C-contiguous
    cnp.ndarray labels,      # IN (n,) int32, C-contiguous, in range
    cnp.ndarray weights,     # IN (n,) float64, C-contiguous, or None
    cnp.ndarray sums,        # OUT (parts, k, d) float64, C-contiguous
    cnp.ndarray counts,      # OUT (parts, k) float64, C-contiguous
    cnp.ndarray inertia,     # OUT (parts,) float64
):
    cdef Assignment v
    set_samples(&v, x, centroids)
    v.centroids, v.labels = <const char*>cnp.PyArray_DATA(centroids), <int32_t*>cnp.PyArray_DATA(labels)
    v.weights = <const double*>cnp.PyArray_DATA(weights) if weights is not None else NULL
    v.sums, v.counts = <double*>cnp.PyArray_DATA(sums), <double*>cnp.PyArray_DATA(counts)
    v.inertia, v.parts = <double*>cnp.PyArray_DATA(inertia), cnp.PyArray_DIMS(sums)[0]
    v.distances = NULL
    with nogil:
        run_rows(&v, v.parts, 1)
