#include "gather.h"
#include "primitives.h"

/* Columns first <= e < end of a row of n come from x, e = 0 at x; the others are 0. Whole vectors are written while there
 * is room for them. `ahead` bytes on lies what is read next, where no hardware looks. */
INLINE void fill_run(const char *x, ptrdiff_t step, ptrdiff_t first, ptrdiff_t end, ptrdiff_t n, real *to, ptrdiff_t room,
                     ptrdiff_t ahead)
{
    ptrdiff_t e = 0;
    if (step == sizeof(number) && first <= 0)
        for (; e + LANES <= min_size(end, room); e += LANES) {
            __builtin_prefetch(x + e * step + ahead);
            vstore(to + e, vload((const real *)(x + e * step)));
        }
    for (; e < n; e += LANES) {
        __builtin_prefetch(x + e * step + ahead);
        const int from = (int)min_size(max_size(first - e, 0), LANES), last = (int)max_size(min_size(end - e, LANES), 0);
        const vreal v = from < last ? gather(x + e * step, step, lane_mask(step, from, last)) : (vreal){0};
        if (room - e >= LANES)
            vstore(to + e, v);
        else
            vstore_part(to + e, v, room - e);
    }
}

static void fill(const windows *g, ptrdiff_t pitch, ptrdiff_t channel, ptrdiff_t row_phase, ptrdiff_t column_phase,
                 ptrdiff_t start, ptrdiff_t count, real *to)
{
    const ptrdiff_t step = g->sw * g->column_stride;
    const range columns = inside(g->w, g->sw, column_phase - g->left, pitch);
    ptrdiff_t row = start / pitch * g->sh + row_phase - g->top, e = start % pitch;
    for (; count > 0; row += g->sh, e = 0) {
        const ptrdiff_t n = min_size(pitch - e, count);
        const bool in = row >= 0 && row < g->h;
        const ptrdiff_t first = columns.first - e, end = in ? columns.last - e : first;
        const char *const x = g->x + channel * g->channel_stride + row * g->row_stride +
                              (e * g->sw + column_phase - g->left) * g->column_stride;
        if (step == sizeof(number))
            fill_run(x, sizeof(number), first, end, n, to, count, g->channel_stride);
        else
            fill_run(x, step, first, end, n, to, count, g->channel_stride);
        to += n;
        count -= n;
    }
}

INLINE void copy_row(ptrdiff_t count, const real *from, real *to)
{
    ptrdiff_t j = 0;
    for (; j + LANES <= count; j += LANES)
        vstore(to + j, vload(from + j));
    if (j < count)
        vstore_part(to + j, vload_part(from + j, count - j), count - j);
}

static void store(ptrdiff_t rows, ptrdiff_t start, ptrdiff_t count, ptrdiff_t pitch, ptrdiff_t ow, const real *c,
                  ptrdiff_t c_stride, char *y, ptrdiff_t y_channel, ptrdiff_t y_row, ptrdiff_t y_column)
{
    for (ptrdiff_t r = 0; r < rows; r++, c += c_stride, y += y_channel) {
        const real *from = c;
        ptrdiff_t i = start / pitch, j = start % pitch, rest = count;
        for (; rest > 0; i++, j = 0) {
            const ptrdiff_t n = min_size(ow - j, rest), used = min_size(pitch - j, rest);
            char *const to = y + i * y_row + j * y_column;
            if (y_column == sizeof(number))
                copy_row(n, from, (real *)to);
            else
                for (ptrdiff_t q = 0; q < n; q++)
                    *(real *)(to + q * y_column) = from[q];
            from += used;
            rest -= used;
        }
    }
}

const flat_primitives NAME(flat) = {.fill = fill, .store = store};
