/* Pooling and its gradients. */
#include "checkasm.h"

typedef struct {
    pooling g;
    ptrdiff_t first, last; /* a part of the rows */
} pool_case;

static pool_case some_pooling(int dilated)
{
    const ptrdiff_t most = dilated ? 3 : 1, wide = one_in(4) ? 150 : 30;
    const axis_windows r = some_windows(12, 4, 4, most, 0, 3, 0), c = some_windows(wide, 5, 4, most, 0, 4, 0);
    pool_case v = {.g = {.h = r.size,
                         .w = c.size,
                         .kh = r.kernel,
                         .kw = c.kernel,
                         .sh = r.stride,
                         .sw = c.stride,
                         .dh = r.dilation,
                         .dw = c.dilation,
                         .top = r.before,
                         .left = c.before,
                         .bottom = r.after,
                         .right = c.after,
                         .oh = r.count,
                         .ow = c.count}};
    v.first = one_in(2) ? 0 : between(0, r.count - 1);
    v.last = one_in(2) ? r.count : between(v.first, r.count);
    detail("plane %td x %td, window %td x %td, stride %td %td, dilation %td %td, pads %td %td %td %td, rows %td to %td "
           "of %td x %td",
           v.g.h, v.g.w, v.g.kh, v.g.kw, v.g.sh, v.g.sw, v.g.dh, v.g.dw, v.g.top, v.g.left, v.g.bottom, v.g.right,
           v.first, v.last, v.g.oh, v.g.ow);
    return v;
}

/* What a window is divided by along one axis */
static ptrdiff_t divisor(ptrdiff_t size, ptrdiff_t start, ptrdiff_t kernel, ptrdiff_t before, ptrdiff_t after,
                         int include_pad)
{
    ptrdiff_t count = 0;
    for (ptrdiff_t t = start; t < start + kernel; t++)
        count += include_pad ? t < before + size + after : t >= before && t < before + size;
    return count;
}

static double divisor_of(const pooling *g, ptrdiff_t i, ptrdiff_t j, int include_pad)
{
    return (double)(divisor(g->h, i * g->sh, g->kh, g->top, g->bottom, include_pad) *
                    divisor(g->w, j * g->sw, g->kw, g->left, g->right, include_pad));
}

/* The maximum of a window, its place, and the sum */
static number look(const pooling *g, const view *x, ptrdiff_t plane, ptrdiff_t i, ptrdiff_t j, int32_t *place,
                   number *sum)
{
    number best = -INFINITY;
    int any = 0;
    *sum = 0;
    for (ptrdiff_t a = 0; a < g->kh; a++)
        for (ptrdiff_t b = 0; b < g->kw; b++) {
            const ptrdiff_t r = i * g->sh + a * g->dh - g->top, c = j * g->sw + b * g->dw - g->left;
            if (r < 0 || r >= g->h || c < 0 || c >= g->w)
                continue;
            const number value = *AT(*x, r, c, plane);
            *sum += value;
            if (!any || (best == best && !(value <= best)))
                best = value, *place = (int32_t)(r * g->w + c);
            any = 1;
        }
    return best;
}

static void spoil(const view *x, ptrdiff_t h, ptrdiff_t w)
{
    for (ptrdiff_t q = one_in(4) ? between(1, 5) : 0; q > 0; q--)
        put_number(AT(*x, between(0, h - 1), between(0, w - 1)), one_in(2) ? NAN : -INFINITY);
}

/* A plane whose columns are contiguous; axes rows, columns and one plane */
static view some_plane(const pooling *g)
{
    view x = VIEW(GAPS | BACK | STILL | ODD | CLOSE, INPUT, g->h, g->w);
    x.axes = 3, x.shape[2] = 1, x.strides[2] = 0;
    return x;
}

static void check_rows_of_pool(int mean)
{
    pool_case v = some_pooling(!mean);
    pooling *const g = &v.g;
    const view x = some_plane(g);
    const int include_pad = one_in(2);
    real *const buffer = scratch(CALL(pool, lay_out)(g)), *const y = results((v.last - v.first) * g->ow);
    if (!mean)
        spoil(&x, g->h, g->w);
    for (ptrdiff_t i = v.first; i < v.last; i++)
        for (ptrdiff_t j = 0; j < g->ow; j++) {
            int32_t place = 0;
            number sum, most = look(g, &x, 0, i, j, &place, &sum);
            want(y)[(i - v.first) * g->ow + j] = mean ? sum / (number)divisor_of(g, i, j, include_pad) : most;
        }
    if (mean)
        CALL(pool, mean_rows)(g, x.data, x.strides[0], v.first, v.last, include_pad, buffer, y);
    else
        CALL(pool, max_rows)(g, x.data, x.strides[0], v.first, v.last, buffer, y);
    tolerate(mean ? 0 : 1, 0); /* any NaN for a NaN */
    verify();
}

void NAME(check_max_rows)(void) { check_rows_of_pool(0); }
void NAME(check_mean_rows)(void) { check_rows_of_pool(1); }

/* Planes whose elements lie next to each other */
enum { MAXIMUM, MEAN, INDICES };
static void check_planes_of_pool(int mode)
{
    pool_case v = some_pooling(mode != MEAN);
    pooling *const g = &v.g;
    const ptrdiff_t planes = between(1, 3 * lanes()), i = between(0, g->oh - 1), plane = g->oh * g->ow;
    const view x = VIEW(GAPS | BACK | STILL | CLOSE, INPUT, g->h, g->w, planes);
    const int include_pad = one_in(2);
    CALL(pool, lay_out)(g);
    real *const y = results(planes * plane);
    real *const buffer =
        scratch(mode == INDICES ? 2 * (planes + lanes()) * lanes() : g->ow + g->span * planes + 2 * lanes());
    int32_t *const indices = mode == INDICES ? claim(planes * plane, 4, OTHER, RESULT, 4) : NULL;
    if (mode != MEAN)
        spoil(&x, g->h, g->w);
    for (ptrdiff_t p = 0; p < planes; p++)
        for (ptrdiff_t j = 0; j < g->ow; j++) {
            const ptrdiff_t at = p * plane + i * g->ow + j;
            int32_t place = 0;
            number sum, most = look(g, &x, p, i, j, &place, &sum);
            want(y)[at] = mode == MEAN ? sum / (number)divisor_of(g, i, j, include_pad) : most;
            if (indices)
                want(indices)[at] = place;
        }
    tolerate(mode == MEAN ? 0 : 1, 0);
    if (mode == MEAN)
        CALL(pool, mean_planes)(g, x.data, x.strides[0], x.strides[1], planes, i, include_pad, buffer, y + i * g->ow);
    else if (mode == MAXIMUM)
        CALL(pool, max_planes)(g, x.data, x.strides[0], x.strides[1], planes, i, buffer, y + i * g->ow);
    else
        CALL(pool_indices, max_planes)(g, x.data, x.strides[0], x.strides[1], planes, i, buffer, y + i * g->ow,
                                       indices + i * g->ow);
    verify();
}

void NAME(check_max_planes)(void) { check_planes_of_pool(MAXIMUM); }
void NAME(check_mean_planes)(void) { check_planes_of_pool(MEAN); }
void NAME(check_index_planes)(void) { check_planes_of_pool(INDICES); }

/* Rows of planes in the lanes: whole vectors of them, one pixel of each behind the other */
static void check_lanes_of_pool(int mode)
{
    pool_case v = some_pooling(mode != MEAN);
    const pooling *const g = &v.g;
    const interval rows = {v.first, v.last};
    const ptrdiff_t planes = between(1, 3) * lanes(), count = (v.last - v.first) * g->ow * planes;
    const ptrdiff_t above = v.first * g->sh - g->top, origin = above > 0 ? above * g->w : 0;
    const view x = VIEW(CLOSE, INPUT, g->h, g->w, planes);
    const int include_pad = one_in(2);
    real *const y = results(count), *const places = mode == INDICES ? results(count) : NULL;
    real *const line = scratch(g->w * planes);
    if (mode != MEAN)
        spoil(&x, g->h, g->w);
    for (ptrdiff_t k = 0; k < count; k++) {
        const ptrdiff_t i = v.first + k / planes / g->ow, j = k / planes % g->ow;
        int32_t place = 0;
        number sum, most = look(g, &x, k % planes, i, j, &place, &sum);
        want(y)[k] = mode == MEAN ? sum / (number)divisor_of(g, i, j, include_pad) : most;
        if (places)
            want(places)[k] = (number)(place - origin);
    }
    tolerate(mode == MEAN ? 0 : 1, 0);
    CALL(narrow_pool, fetch)(between(0, 1000), x.data); /* changes nothing */
    if (mode == MEAN)
        CALL(narrow_pool, mean)(g, include_pad, planes, rows, (real *)x.data, line, y);
    else if (mode == INDICES)
        CALL(narrow_pool, indices)(g, planes, rows, (real *)x.data, y, places);
    else
        CALL(narrow_pool, max)(g, planes, rows, (real *)x.data, line, y);
    verify();
}

void NAME(check_max_lanes)(void) { check_lanes_of_pool(MAXIMUM); }
void NAME(check_mean_lanes)(void) { check_lanes_of_pool(MEAN); }
void NAME(check_index_lanes)(void) { check_lanes_of_pool(INDICES); }

void NAME(check_to_integers)(void)
{
    const ptrdiff_t count = some_count(0), origin = between(0, 1000);
    const real *const x = integers(count, INPUT);
    int32_t *const to = places(count, 0, 3, RESULT);
    for (ptrdiff_t i = 0; i < count; i++)
        want(to)[i] = (int32_t)(origin + (ptrdiff_t)x[i]);
    CALL(narrow_pool, to_integers)(count, x, origin, to);
    verify();
}

/* Rows that hold -inf beside the plane, and two vectors more */
void NAME(check_index_rows)(void)
{
    pool_case v = some_pooling(1);
    pooling *const g = &v.g;
    real *const buffer = scratch(CALL(pool, lay_out)(g)), *const y = results((v.last - v.first) * g->ow);
    int32_t *const indices = claim((v.last - v.first) * g->ow, 4, OTHER, RESULT, 4);
    const ptrdiff_t pitch = g->span + 2 * lanes() + between(0, 3);
    real *const padded = nothing(g->h * pitch, INPUT);
    const view x = {(char *)(padded + g->left), 3, {g->h, g->w, 1}, {pitch * SIZE, SIZE, 0}};
    for (ptrdiff_t r = 0; r < g->h; r++)
        for (ptrdiff_t c = 0; c < g->span; c++)
            put_number(padded + r * pitch + c,
                       c >= g->left && c - g->left < g->seen ? (double)between(-3, 3) : -INFINITY);
    spoil(&x, g->h, g->seen);
    for (ptrdiff_t i = v.first; i < v.last; i++)
        for (ptrdiff_t j = 0; j < g->ow; j++) {
            const ptrdiff_t at = (i - v.first) * g->ow + j;
            number sum;
            want(y)[at] = look(g, &x, 0, i, j, want(indices) + at, &sum);
        }
    tolerate(1, 0);
    CALL(pool_indices, max_rows)(g, x.data, x.strides[0], v.first, v.last, buffer, y, indices);
    verify();
}

void NAME(check_gather)(void)
{
    const int dealt = VALUE(pool, dealt);
    const ptrdiff_t planes = one_in(3) ? between(1, dealt > 1 ? dealt : 1) : between(1, lanes());
    const ptrdiff_t rows = between(0, 5), columns = some_count(0), left = between(0, 4), right = between(0, 4);
    const ptrdiff_t pitch = left + columns + right + between(0, 3);
    const view x = planes > 1 ? VIEW(GAPS | BACK | STILL | ODD | CLOSE, INPUT, rows, columns, planes)
                              : VIEW(ANY_STRIDES, INPUT, rows, columns, planes);
    real *const to = results(planes * rows * pitch);
    for (ptrdiff_t p = 0; p < planes; p++)
        for (ptrdiff_t r = 0; r < rows; r++)
            for (ptrdiff_t c = -left; c < columns + right; c++)
                want(to)[(p * rows + r) * pitch + left + c] = c >= 0 && c < columns ? *AT(x, r, c, p) : -INFINITY;
    detail("%td planes of %td x %td, pads %td %td", planes, rows, columns, left, right);
    CALL(pool, gather)(planes, rows, columns, x.data, x.strides[2], x.strides[0], x.strides[1], left, right, -INFINITY,
                       pitch, to);
    verify();
}
