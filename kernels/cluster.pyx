"""Nearest centroids, and what a block of samples adds to the next centroids.

Samples go through in groups: their nearest centroids, then, while they are in cache, distances and sums.
"""
from libc.stdint cimport int32_t
from libc.string cimport memset
cimport numpy as cnp

from npkernels._primitives cimport primitives
from npkernels._runtime cimport cache_sizes, num_threads, parallel_for, primitives_for, workspace, workspace_done

cnp.import_array()

cdef enum:
    GROUP_PANELS = 8                         # the most panels of samples in a group
    LINE = 64                                # bytes of a cache line

cdef struct Clusters:
    const primitives* table
    Py_ssize_t n, d, k, size, row, column    # size of a number and strides of x in bytes
    const char* x                            # (n, d)
    const char* centroids                    # (k, d), contiguous
    int32_t* labels                          # (n,)
    char* distances                          # (n,), or NULL: not wanted
    # Sums, NULL if not wanted, in parts: part q has the samples from n q / parts to n (q + 1) / parts.
    const double* weights                    # (n,), or NULL: 1
    double* sums                             # (parts, k, d)
    double* counts                           # (parts, k)
    double* inertia                          # (parts,)
    Py_ssize_t parts
    # Memory of the call: what `centre` writes, then for every thread a line for its flag, and its scratch.
    Py_ssize_t group                         # samples
    char* mean
    char* scale
    char* packed
    char* start
    char* scratch
    size_t nearest_bytes, rows_bytes, scratch_bytes


cdef inline size_t lines(Py_ssize_t bytes) noexcept nogil:
    return <size_t>((bytes + LINE - 1) // LINE * LINE)


cdef int begin(Clusters* v, cnp.ndarray x, cnp.ndarray centroids, cnp.ndarray labels, distances) except -1:
    memset(v, 0, sizeof(Clusters))
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    v.size = v.table.itemsize
    v.x, v.n, v.d = <const char*>cnp.PyArray_DATA(x), cnp.PyArray_DIMS(x)[0], cnp.PyArray_DIMS(x)[1]
    v.row, v.column = cnp.PyArray_STRIDES(x)[0], cnp.PyArray_STRIDES(x)[1]
    if v.d == 1:
        v.column = v.size
    v.centroids, v.k = <const char*>cnp.PyArray_DATA(centroids), cnp.PyArray_DIMS(centroids)[0]
    v.labels = <int32_t*>cnp.PyArray_DATA(labels)
    if distances is not None:
        v.distances = <char*>cnp.PyArray_DATA(distances)
    return 0


cdef int plan(Clusters* v, int threads) noexcept nogil:
    # The panels of a group take half of L2, so that the tiles of centroids stream past them.
    cdef Py_ssize_t panel = v.table.lanes * v.table.tile.vectors
    cdef Py_ssize_t panels = cache_sizes().l2 // 2 // max(1, panel * v.d * v.size)
    cdef size_t shared = lines(v.d * v.size) + LINE + lines(v.k * v.d * v.size) + lines(v.k * v.size)
    v.group = panel * max(<Py_ssize_t>1, min(panels, <Py_ssize_t>GROUP_PANELS))
    v.nearest_bytes = lines(v.table.cluster.scratch_reals(v.group, v.d) * v.size)
    v.rows_bytes = 0 if v.column == v.size else lines(v.group * v.d * v.size)
    v.scratch_bytes = LINE + v.nearest_bytes + v.rows_bytes + lines(v.group * v.size)
    v.mean = <char*>workspace(shared + v.scratch_bytes * <size_t>threads)
    if v.mean == NULL:
        return -1
    v.scale = v.mean + lines(v.d * v.size)
    v.packed = v.scale + LINE
    v.start = v.packed + lines(v.k * v.d * v.size)
    v.scratch = v.mean + shared
    return 0


cdef int run_group(const Clusters* v, Py_ssize_t i, Py_ssize_t count, Py_ssize_t part, char* scratch) noexcept nogil:
    # Samples i to i + count; returns whether all their best scores are finite.
    cdef Py_ssize_t row = v.row
    cdef const char* x = v.x + i * row
    cdef const double* weights = v.weights
    cdef char* distances
    cdef int finite = v.table.cluster.nearest(count, v.d, v.k, x, row, v.column, v.mean, v.scale, v.packed, v.start,
                                              scratch, v.labels + i)
    if v.distances == NULL and v.sums == NULL:
        return finite
    scratch += v.nearest_bytes
    if v.rows_bytes:
        v.table.pack.rows(count, v.d, x, row, v.column, scratch)
        x, row = scratch, v.d * v.size
        scratch += v.rows_bytes
    distances = scratch if v.distances == NULL else v.distances + i * v.size
    if weights != NULL:
        weights += i
    v.table.cluster.squared_distances(count, v.d, x, row, v.centroids, v.labels + i, distances)
    if v.sums != NULL:
        v.table.cluster.add_samples(count, v.d, x, row, v.labels + i, weights, v.sums + part * v.k * v.d, v.d)
        v.inertia[part] += v.table.cluster.add_weights(count, v.labels + i, weights, distances, v.counts + part * v.k)
    return finite


cdef void run_groups(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Clusters* v = <const Clusters*>context
    cdef char* scratch = v.scratch + <size_t>slot * v.scratch_bytes
    cdef Py_ssize_t i
    for i in range(first, last):
        if not run_group(v, i * v.group, min(v.group, v.n - i * v.group), 0, scratch + LINE):
            scratch[0] = 1


cdef void run_parts(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Clusters* v = <const Clusters*>context
    cdef char* scratch = v.scratch + <size_t>slot * v.scratch_bytes
    cdef Py_ssize_t part, i, end
    for part in range(first, last):
        memset(v.sums + part * v.k * v.d, 0, <size_t>(v.k * v.d) * sizeof(double))
        memset(v.counts + part * v.k, 0, <size_t>v.k * sizeof(double))
        v.inertia[part] = 0
        i, end = v.n * part // v.parts, v.n * (part + 1) // v.parts
        while i < end:
            if not run_group(v, i, min(v.group, end - i), part, scratch + LINE):
                scratch[0] = 1
            i += v.group


cdef int run(Clusters* v) except -1 nogil:
    # Returns whether all is finite. About 2 (d + 4) (k + 8) operations a sample; pieces of a few dozen microseconds.
    cdef int threads = num_threads(), finite, slot
    cdef Py_ssize_t pieces, grain = 1
    if plan(v, threads) < 0:
        raise MemoryError("no memory for the packed samples and centroids of k-means")
    for slot in range(threads):
        v.scratch[<size_t>slot * v.scratch_bytes] = 0
    finite = v.table.cluster.centre(v.k, v.d, v.centroids, v.mean, v.scale, v.packed, v.start)
    if finite:
        if v.sums != NULL:
            parallel_for(run_parts, v, v.parts, 1, threads)
        else:
            pieces = (v.n + v.group - 1) // v.group
            grain = <Py_ssize_t>(2e6 / (2.0 * v.group * (v.d + 4) * (v.k + 8))) + 1
            parallel_for(run_groups, v, pieces, grain, threads)
    for slot in range(threads):
        finite &= not v.scratch[<size_t>slot * v.scratch_bytes]
    workspace_done()
    return finite


def assign(
    cnp.ndarray x,           # IN (n, d)
    cnp.ndarray centroids,   # IN (k, d), C-contiguous
    cnp.ndarray labels,      # OUT (n,) int32, C-contiguous
    distances=None,          # OUT (n,), C-contiguous, or None
):
    """Returns whether everything is finite; if not, centroids, samples or scores are not."""
    cdef Clusters v
    cdef int finite
    begin(&v, x, centroids, labels, distances)
    with nogil:
        finite = run(&v)
    return bool(finite)


def accumulate(
    cnp.ndarray x,           # IN (n, d)
    cnp.ndarray centroids,   # IN (k, d), C-contiguous
    weights,                 # IN (n,) float64, C-contiguous, or None
    cnp.ndarray labels,      # OUT (n,) int32, C-contiguous
    cnp.ndarray sums,        # OUT (parts, k, d) float64, C-contiguous
    cnp.ndarray counts,      # OUT (parts, k) float64, C-contiguous
    cnp.ndarray inertia,     # OUT (parts,) float64, C-contiguous
):
    """Returns whether everything is finite; if not, centroids, samples or scores are not."""
    cdef Clusters v
    cdef int finite
    begin(&v, x, centroids, labels, None)
    if weights is not None:
        v.weights = <const double*>cnp.PyArray_DATA(weights)
    v.sums, v.counts = <double*>cnp.PyArray_DATA(sums), <double*>cnp.PyArray_DATA(counts)
    v.inertia, v.parts = <double*>cnp.PyArray_DATA(inertia), cnp.PyArray_DIMS(sums)[0]
    with nogil:
        finite = run(&v)
    return bool(finite)
