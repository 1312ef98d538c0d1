#include "gather.h"
#include "parts.h"
#include "primitives.h"

/* Columns from .. from + n of a row, of which those in `seen` come from x, column 0 at x; the others are 0. Whole vectors
 * are written while there is room for them. */
INLINE void fill_part(const char *x, ptrdiff_t step, interval seen, ptrdiff_t from, ptrdiff_t n, real *to,
                      ptrdiff_t room)
{
    for (ptrdiff_t e = 0; e < n; e += LANES) {
        const int first = (int)min_size(max_size(seen.first - from - e, 0), LANES);
        const int last = (int)max_size(min_size(seen.last - from - e, LANES), 0);
        const vreal v = first < last ? gather(x + (from + e) * step, step, lane_mask(step, first, last)) : (vreal){0};
        if (room - e >= LANES)
            vstore(to + e, v);
        else
            vstore_part(to + e, v, room - e);
    }
}

enum { ROW_VECTORS = 16 }; /* of the rows that are filled by prepared masks */

/* Rows of `pitch` columns as long as there is room for their last vector; x is moved by `row` bytes each. */
INLINE ptrdiff_t fill_rows(const char *x, ptrdiff_t row, ptrdiff_t step, ptrdiff_t rows, const unsigned *masks,
                           ptrdiff_t vectors, ptrdiff_t pitch, ptrdiff_t room, real *to, ptrdiff_t ahead)
{
    const ptrdiff_t with_room = room >= vectors * LANES ? (room - vectors * LANES) / pitch + 1 : 0;
    rows = min_size(rows, with_room);
    for (ptrdiff_t r = 0; r < rows; r++, x += row, to += pitch)
        for (ptrdiff_t v = 0; v < vectors; v++) {
            const char *const from = x + v * LANES * step;
            __builtin_prefetch(from + ahead);
            vstore(to + v * LANES, gather(from, step, masks[v]));
        }
    return rows;
}

INLINE void fill_plane(const windows *g, ptrdiff_t step, ptrdiff_t pitch, ptrdiff_t channel, ptrdiff_t row_phase,
                       ptrdiff_t column_phase, ptrdiff_t start, ptrdiff_t count, ptrdiff_t room, real *to)
{
    const interval seen = inside(g->w, column_phase - g->left, g->sw, pitch);
    const interval rows = inside(g->h, row_phase - g->top, g->sh, max_size(g->h + g->top, 0));
    const char *const x = g->x + channel * g->channel_stride + (row_phase - g->top) * g->row_stride +
                          (column_phase - g->left) * g->column_stride;
    const ptrdiff_t row = g->sh * g->row_stride, vectors = (pitch + LANES - 1) / LANES;
    unsigned masks[ROW_VECTORS];
    for (ptrdiff_t v = 0; v < vectors && vectors <= ROW_VECTORS; v++) {
        const int first = (int)min_size(max_size(seen.first - v * LANES, 0), LANES);
        const int last = (int)max_size(min_size(seen.last - v * LANES, LANES), 0);
        masks[v] = first < last ? lane_mask(step, first, last) : 0;
    }
    for (ptrdiff_t q = start / pitch, e = start % pitch; count > 0; e = 0) {
        ptrdiff_t done = 0;
        if (e == 0 && vectors <= ROW_VECTORS && q >= rows.first && q < rows.last)
            done = fill_rows(x + q * row, row, step, min_size(rows.last - q, (count + pitch - 1) / pitch), masks,
                             vectors, pitch, room, to, g->channel_stride);
        q += done;
        ptrdiff_t n = done * pitch;
        if (done == 0) {
            n = min_size(pitch - e, count);
            fill_part(x + q * row, step, q >= rows.first && q < rows.last ? seen : (interval){0, 0}, e, n, to, room);
            q++;
        }
        to += n;
        count -= n;
        room -= n;
    }
}

static void fill(const windows *g, ptrdiff_t pitch, ptrdiff_t channel, ptrdiff_t row_phase, ptrdiff_t column_phase,
                 ptrdiff_t start, ptrdiff_t count, ptrdiff_t room, real *to)
{
    assert(pitch >= g->ow && start >= 0 && room >= count);
    const ptrdiff_t step = g->sw * g->column_stride;
    if (step == sizeof(number))
        fill_plane(g, sizeof(number), pitch, channel, row_phase, column_phase, start, count, room, to);
    else if (step == 2 * sizeof(number))
        fill_plane(g, 2 * sizeof(number), pitch, channel, row_phase, column_phase, start, count, room, to);
    else
        fill_plane(g, step, pitch, channel, row_phase, column_phase, start, count, room, to);
}

/* Rows of a contiguous plane in whole vectors, whose ends the next rows overwrite: as many as leave room for theirs. */
INLINE ptrdiff_t copy_rows(ptrdiff_t count, ptrdiff_t pitch, ptrdiff_t ow, const real *from, real *to)
{
    const ptrdiff_t length = (ow + LANES - 1) / LANES * LANES, rows = (count + pitch - ow) / pitch;
    ptrdiff_t i = 0;
    for (; (rows - i) * ow >= length && count - i * pitch >= length; i++, from += pitch, to += ow)
        for (ptrdiff_t j = 0; j < length; j += LANES)
            vstore(to + j, vload(from + j));
    return i;
}

static void store(ptrdiff_t rows, ptrdiff_t start, ptrdiff_t count, ptrdiff_t pitch, ptrdiff_t ow, const real *c,
                  ptrdiff_t c_stride, char *y, ptrdiff_t y_channel, ptrdiff_t y_row, ptrdiff_t y_column)
{
    assert(pitch >= ow && ow >= 1 && start >= 0);
    const bool contiguous = y_column == sizeof(number) && y_row == ow * (ptrdiff_t)sizeof(number);
    for (ptrdiff_t r = 0; r < rows; r++, c += c_stride, y += y_channel) {
        const real *from = c;
        ptrdiff_t i = start / pitch, j = start % pitch, rest = count;
        while (rest > 0) {
            char *const to = y + i * y_row + j * y_column;
            const ptrdiff_t whole = contiguous && j == 0 ? copy_rows(rest, pitch, ow, from, (real *)to) : 0;
            const ptrdiff_t used = whole ? whole * pitch : min_size(pitch - j, rest), n = min_size(ow - j, rest);
            if (whole == 0 && y_column == sizeof(number))
                copy_row(n, from, (real *)to);
            else if (whole == 0)
                for (ptrdiff_t q = 0; q < n; q++)
                    *(real *)(to + q * y_column) = from[q];
            i += whole ? whole : 1;
            j = 0;
            from += used;
            rest -= used;
        }
    }
}

const flat_primitives NAME(flat) = {.fill = fill, .store = store};
