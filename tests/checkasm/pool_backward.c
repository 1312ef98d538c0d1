/* The gradients of pooling. */
#include "checkasm.h"

void NAME(check_pool_scatter)(void)
{
    const int type = (int)between(0, 7);
    const ptrdiff_t width = (ptrdiff_t)1 << (type & ~UNSIGNED_INDEX), size = between(1, 100);
    pool_gradients g = {.planes = between(0, 3), .rows = between(0, 5), .columns = some_count(0), .size = size};
    const view dy = VIEW(ANY_STRIDES, INPUT, g.planes, g.rows, g.columns);
    const ptrdiff_t column = width * between(1, 2), row = column * g.columns + between(0, 1) * width;
    const ptrdiff_t plane = row * g.rows + between(0, 1) * width;
    char *const indices = claim(g.planes * plane, 1, OTHER, INPUT, one_in(2) ? 1 : width);
    real *const dx = integers(g.planes * size, RESULT);
    int good = 1;
    for (ptrdiff_t k = 0; k < g.planes * g.rows; k++)
        for (ptrdiff_t j = 0; j < g.columns; j++) {
            const ptrdiff_t p = k / g.rows, i = k % g.rows, at = p * plane + i * row + j * column;
            const int outside = one_in(200);
            const int64_t index = outside ? (type & UNSIGNED_INDEX ? 101 : one_in(2) ? -1 : 101) : between(0, size - 1);
            memcpy(indices + at, &index, (size_t)width); /* little endian */
            memcpy(want(indices) + at, &index, (size_t)width);
            if (outside)
                good = 0;
            else
                want(dx)[p * size + index] += *AT(dy, p, i, j);
        }
    g.dy = dy.data, g.dy_plane = dy.strides[0], g.dy_row = dy.strides[1], g.dy_column = dy.strides[2];
    g.indices = indices, g.index_plane = plane, g.index_row = row, g.index_column = column;
    detail("type %d, %td x %td x %td", type, g.planes, g.rows, g.columns);
    if (CALL(pool_indices, scatter)(&g, type, dx) != good)
        fail("indices count as %s", good ? "outside" : "inside");
    if (!good) /* others may be left out beside those that lie outside */
        leave_open(dx, g.planes * size);
    verify();
}

static ptrdiff_t taps_of(ptrdiff_t size, ptrdiff_t start, ptrdiff_t kernel, ptrdiff_t before, ptrdiff_t after,
                         int include_pad)
{
    ptrdiff_t count = 0;
    for (ptrdiff_t t = start; t < start + kernel; t++)
        count += include_pad ? t < before + size + after : t >= before && t < before + size;
    return count;
}

/* dx[p, q] of a plane */
static number share_of(const pooling *g, const view *dy, ptrdiff_t plane, ptrdiff_t p, ptrdiff_t q, int include_pad)
{
    double sum = 0;
    for (ptrdiff_t i = 0; i < g->oh; i++)
        for (ptrdiff_t j = 0; j < g->ow; j++) {
            const ptrdiff_t a = p + g->top - i * g->sh, b = q + g->left - j * g->sw;
            if (a >= 0 && a < g->kh && b >= 0 && b < g->kw)
                sum += (double)*AT(*dy, i, j, plane) /
                       (double)(taps_of(g->h, i * g->sh, g->kh, g->top, g->bottom, include_pad) *
                                taps_of(g->w, j * g->sw, g->kw, g->left, g->right, include_pad));
        }
    return (number)sum;
}

static pooling some_mean(ptrdiff_t longest)
{
    const axis_windows r = some_windows(12, 4, 4, 1, 0, 3, 0), c = some_windows(longest, 5, 4, 1, 0, 4, 0);
    const pooling g = {.h = r.size,
                       .w = c.size,
                       .kh = r.kernel,
                       .kw = c.kernel,
                       .sh = r.stride,
                       .sw = c.stride,
                       .dh = 1,
                       .dw = 1,
                       .top = r.before,
                       .left = c.before,
                       .bottom = r.after,
                       .right = c.after,
                       .oh = r.count,
                       .ow = c.count};
    detail("plane %td x %td, window %td x %td, stride %td %td, pads %td %td %td %td, windows %td x %td", g.h, g.w, g.kh,
           g.kw, g.sh, g.sw, g.top, g.left, g.bottom, g.right, g.oh, g.ow);
    tolerate(0, 64 * EPS);
    return g;
}

void NAME(check_mean_backward)(void)
{
    const pooling g = some_mean(one_in(4) ? 150 : 30);
    const ptrdiff_t first = one_in(2) ? 0 : between(0, g.h - 1), last = one_in(2) ? g.h : between(first, g.h);
    const view dy = VIEW(ANY_STRIDES, INPUT, g.oh, g.ow, 1);
    const int include_pad = one_in(2);
    real *const buffer = scratch(CALL(pool_backward, scratch_size)(&g)), *const dx = results((last - first) * g.w);
    for (ptrdiff_t k = 0; k < (last - first) * g.w; k++)
        want(dx)[k] = share_of(&g, &dy, 0, first + k / g.w, k % g.w, include_pad);
    CALL(pool_backward, mean_rows)(&g, dy.data, dy.strides[0], dy.strides[1], first, last, include_pad, buffer, dx);
    verify();
}

void NAME(check_mean_backward_lanes)(void)
{
    const pooling g = some_mean(12);
    const ptrdiff_t planes = between(1, 3) * lanes(), first = one_in(2) ? 0 : between(0, g.h - 1);
    const interval rows = {first, one_in(2) ? g.h : between(first, g.h)};
    const view dy = VIEW(CLOSE, RESULT, g.oh, g.ow, planes);
    const int include_pad = one_in(2);
    real *const dx = results((rows.last - first) * g.w * planes), *const line = scratch(g.ow * planes);
    for (ptrdiff_t k = 0; k < g.oh * g.ow * planes; k++)
        put_number((real *)dy.data + k, (double)between(-3, 3));
    for (ptrdiff_t k = 0; k < (rows.last - first) * g.w * planes; k++)
        want(dx)[k] = share_of(&g, &dy, k % planes, first + k / planes / g.w, k / planes % g.w, include_pad);
    CALL(narrow_pool, mean_backward)(&g, include_pad, planes, rows, (real *)dy.data, line, dx);
    leave_open((real *)dy.data, g.oh * g.ow * planes);
    verify();
}

void NAME(check_spread)(void)
{
    const ptrdiff_t planes = between(0, 9), count = some_count(0);
    const view dy = VIEW(ANY_STRIDES, INPUT, planes);
    real *const dx = results(planes * count);
    for (ptrdiff_t i = 0; i < planes * count; i++)
        want(dx)[i] = *AT(dy, i / count) / 7;
    CALL(pool_backward, spread)(planes, count, dy.data, dy.strides[0], 7, dx);
    verify();
}
