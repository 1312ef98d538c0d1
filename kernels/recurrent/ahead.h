/* Rows that are read soon: a step's lie too far apart for the hardware to see them coming. */
#ifndef NPK_AHEAD_H
#define NPK_AHEAD_H

#include <stddef.h>

static inline void fetch_rows(const char *x, ptrdiff_t step, ptrdiff_t rows, ptrdiff_t bytes)
{
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t at = 0; at < bytes; at += 64)
            __builtin_prefetch(x + r * step + at);
}

#endif
