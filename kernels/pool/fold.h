/* Down the columns: rows of a window folded into one line. */
#ifndef NPK_FOLD_H
#define NPK_FOLD_H

#include "parts.h"
#include "primitives.h"
#include "taps.h"

/* Planes follow each other in memory, but prefetchers stop at every page, and a page holds few rows: 8 KB ahead halved
 * the time of 3x3/2 on images of 25 MB. An address beyond the array does no harm. */
INLINE void prefetch(const void *p) { __builtin_prefetch((const void *)((uintptr_t)p + 8192)); }

/* to[c] = x[0, c] + x[1, c] + ... of more rows than a chain may have. */
static void sum_many(const char *x, ptrdiff_t row_stride, ptrdiff_t rows, ptrdiff_t count, real *to)
{
    for (ptrdiff_t c = 0; c < count; c += LANES)
        store_some(to + c, sum_of_vectors((const char *)((const real *)x + c), row_stride, rows, count - c), count - c);
}

/* line[c] = x[0, c] op x[1, c] op ... for c < count; the last vector of a row overlaps the one before. */
INLINE void fold_rows(int op, const char *x, ptrdiff_t row_stride, ptrdiff_t rows, ptrdiff_t count, real *line)
{
    if (count < LANES) {
        vreal most = vload_part((const real *)x, count);
        for (ptrdiff_t r = 1; r < rows; r++)
            most = combine(op, most, vload_part((const real *)(x + r * row_stride), count));
        vstore_part(line, most, count);
        return;
    }
    for (ptrdiff_t c = 0; c < count; c += LANES) {
        const ptrdiff_t at = min_size(c, count - LANES);
        vreal most = vload((const real *)x + at);
        prefetch((const real *)x + at);
        for (ptrdiff_t r = 1; r < rows; r++) {
            const real *const next = (const real *)(x + r * row_stride) + at;
            most = combine(op, most, vload(next));
            prefetch(next);
        }
        vstore(line + at, most);
    }
}

INLINE void fold_window_rows(int op, const char *x, ptrdiff_t row_stride, ptrdiff_t rows, ptrdiff_t count, real *line)
{
    if (rows == 2)
        fold_rows(op, x, row_stride, 2, count, line);
    else if (rows == 3)
        fold_rows(op, x, row_stride, 3, count, line);
    else if (op == SUM && rows > LONGEST_CHAIN)
        sum_many(x, row_stride, rows, count, line);
    else
        fold_rows(op, x, row_stride, rows, count, line);
}

#endif
