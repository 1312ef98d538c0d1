#include "parts.h"
#include "primitives.h"

/* Rows lie anywhere: nobody but we knows which comes next. */
enum { ROWS_AHEAD = 4, LINE_BYTES = 64, FETCHED_BYTES = 4096 };

INLINE void fetch_row(const char *row, ptrdiff_t bytes)
{
    for (ptrdiff_t b = 0; b < min_size(bytes, FETCHED_BYTES); b += LINE_BYTES)
        __builtin_prefetch(row + b);
}

INLINE void copy_embedding(ptrdiff_t columns, const real *x, int streamed, real *y)
{
    ptrdiff_t j = to_boundary(columns, y);
    streamed = may_stream(streamed, y + j);
    if (j > 0)
        vstore_part(y, vload_part(x, j), j);
    for (; j + LANES <= columns; j += LANES)
        put(y + j, vload(x + j), streamed);
    if (j < columns)
        vstore_part(y + j, vload_part(x + j, columns - j), columns - j);
}

static void gather(ptrdiff_t count, ptrdiff_t columns, const char *w, ptrdiff_t row_stride, const int64_t *rows,
                   int streamed, real *y)
{
    assert(count >= 0 && columns >= 0);
    for (ptrdiff_t i = 0; i < count; i++, y += columns) {
        if (i + ROWS_AHEAD < count)
            fetch_row(w + rows[i + ROWS_AHEAD] * row_stride, columns * (ptrdiff_t)sizeof(number));
        copy_embedding(columns, (const real *)(w + rows[i] * row_stride), streamed, y);
    }
}

const embedding_primitives NAME(embedding) = {.gather = gather};
