#include "parts.h"
#include "primitives.h"

enum { CHAINS = 4 }; /* of additions, so that one waits less for another */

/* Two sums over vectors of x, or of x and dy. */
typedef struct {
    vreal first[CHAINS], second[CHAINS];
    vreal centre;
    number share;
} sums_state;

typedef void (*visit_fn)(sums_state *s, int chain, const real *x, const real *dy, ptrdiff_t count);

INLINE const real *plane_of(const real *x, ptrdiff_t stride, ptrdiff_t plane)
{
    return (const real *)((const char *)x + plane * stride);
}

/* Calls f for every vector of the planes. A single plane deals its vectors to the chains in turn, and what lies a stride ahead
 * is fetched meanwhile; of several planes each has a chain, so that the few vectors of short planes do not wait for one another. */
INLINE void visit(visit_fn f, sums_state *s, ptrdiff_t planes, ptrdiff_t count, const real *x, ptrdiff_t x_stride,
                  const real *dy, ptrdiff_t dy_stride)
{
    if (planes == 1) {
        ptrdiff_t i = 0;
        for (; i + CHAINS * LANES <= count; i += CHAINS * LANES)
            UNROLL for (int c = 0; c < CHAINS; c++)
            {
                __builtin_prefetch(plane_of(x + i + c * LANES, x_stride, 1));
                if (dy != x)
                    __builtin_prefetch(plane_of(dy + i + c * LANES, dy_stride, 1));
                f(s, c, x + i + c * LANES, dy + i + c * LANES, LANES);
            }
        for (; i < count; i += LANES)
            f(s, 0, x + i, dy + i, count - i);
        return;
    }
    ptrdiff_t p = 0;
    for (; p + CHAINS <= planes; p += CHAINS)
        for (ptrdiff_t i = 0; i < count; i += LANES)
            UNROLL for (int c = 0; c < CHAINS; c++)
            {
                f(s, c, plane_of(x, x_stride, p + c) + i, plane_of(dy, dy_stride, p + c) + i, count - i);
            }
    UNROLL for (int c = 0; c < CHAINS; c++)
    {
        for (ptrdiff_t i = 0; p + c < planes && i < count; i += LANES)
            f(s, c, plane_of(x, x_stride, p + c) + i, plane_of(dy, dy_stride, p + c) + i, count - i);
    }
}

INLINE vreal chain_sum(const vreal chains[CHAINS]) { return (chains[0] + chains[1]) + (chains[2] + chains[3]); }
INLINE number first_sum(const sums_state *s) { return lane_sum(chain_sum(s->first)); }
INLINE number second_sum(const sums_state *s) { return lane_sum(chain_sum(s->second)); }

/* x - centre, 0 beyond `count` */
INLINE vreal deviation(const sums_state *s, const real *x, ptrdiff_t count)
{
    const vreal d = load_some(x, count) - s->centre;
    return first_lanes(d, count, 0);
}

INLINE void add_difference(sums_state *s, int chain, const real *x, const real *dy, ptrdiff_t count)
{
    (void)dy;
    s->first[chain] = vfma(deviation(s, x, count), vsplat(s->share), s->first[chain]);
}

INLINE void add_deviation(sums_state *s, int chain, const real *x, const real *dy, ptrdiff_t count)
{
    (void)dy;
    const vreal d = deviation(s, x, count), part = d * s->share;
    s->first[chain] += part;
    s->second[chain] = vfma(part, d, s->second[chain]);
}

INLINE void add_gradient(sums_state *s, int chain, const real *x, const real *dy, ptrdiff_t count)
{
    const vreal d = load_some(dy, count);
    s->first[chain] += d;
    s->second[chain] = vfma(d, deviation(s, x, count), s->second[chain]);
}

/* origin + mean(x - origin); sums over x_i / count do not overflow. */
INLINE number centre_of(ptrdiff_t planes, ptrdiff_t count, const real *x, ptrdiff_t stride, number origin, number share)
{
    sums_state s = {.centre = vsplat(origin), .share = share};
    visit(add_difference, &s, planes, count, x, stride, x, stride);
    return origin + first_sum(&s);
}

/* The first pass comes near the mean, by differences from the first element: that is at most sqrt(count) standard
 * deviations away from the mean, so that the centre is off by a small part of one, however large the mean. Then with
 * d = x - centre the mean is centre + mean(d), and the variance mean(d^2) - mean(d)^2, where the second term is tiny.
 * Chan, Golub, LeVeque, "Algorithms for computing the sample variance", The American Statistician 37(3), 1983. */
static void moments(ptrdiff_t planes, ptrdiff_t count, const real *x, ptrdiff_t stride, double *mean, double *variance)
{
    sums_state s = {.share = (number)(1 / ((double)planes * (double)count))};
    number centre = centre_of(planes, count, x, stride, *x, s.share);
    if (centre - centre != 0) /* the first element is not finite, or a difference overflows */
        centre = centre_of(planes, count, x, stride, 0, s.share);
    s.centre = vsplat(centre);
    visit(add_deviation, &s, planes, count, x, stride, x, stride);
    const double off = first_sum(&s);
    /* A centre of inf or NaN is the mean already; d would make it NaN. */
    *mean = centre - centre == 0 ? centre + off : centre;
    *variance = second_sum(&s) - off * off;
    if (*variance < 0) /* by rounding, where all are nearly equal */
        *variance = 0;
}

static void gradient_sums(ptrdiff_t planes, ptrdiff_t count, const real *dy, ptrdiff_t dy_stride, const real *x,
                          ptrdiff_t x_stride, const real *mean, double *sum, double *product)
{
    sums_state s = {.centre = vsplat(*mean)};
    visit(add_gradient, &s, planes, count, x, x_stride, dy, dy_stride);
    *sum = first_sum(&s);
    *product = second_sum(&s);
}

static void plane_gradient_sums(ptrdiff_t planes, ptrdiff_t count, const real *dy, ptrdiff_t dy_stride, const real *x,
                                ptrdiff_t x_stride, const real *mean, double *sums)
{
    for (ptrdiff_t p = 0; p < planes; p++) {
        sums_state s = {.centre = vsplat(mean[p])};
        visit(add_gradient, &s, 1, count, plane_of(x, x_stride, p), x_stride, plane_of(dy, dy_stride, p), dy_stride);
        sums[2 * p] += first_sum(&s);
        sums[2 * p + 1] += second_sum(&s);
    }
}

/* ---- Columns: each lane is a channel ---------------------------------------------------------------------------- */

enum { COLUMN_ROWS = 64 }; /* that are summed in the number type, 16 to a chain */

typedef int64_t wide_mask __attribute__((vector_size(sizeof(vwide))));
typedef struct {
    vwide first, second;
} column_sums;

/* The sums over one vector of columns. Rows may lie pages apart: what is beside them is fetched for the next vector. */
INLINE column_sums visit_columns(visit_fn f, vreal centre, number share, ptrdiff_t rows, ptrdiff_t count, const real *x,
                                 ptrdiff_t x_stride, const real *dy, ptrdiff_t dy_stride)
{
    column_sums total = {{0}, {0}};
    for (ptrdiff_t row = 0; row < rows; row += COLUMN_ROWS) {
        sums_state s = {.centre = centre, .share = share};
        visit(f, &s, min_size(COLUMN_ROWS, rows - row), count, plane_of(x, x_stride, row), x_stride,
              plane_of(dy, dy_stride, row), dy_stride);
        total.first += vwiden(chain_sum(s.first));
        total.second += vwiden(chain_sum(s.second));
    }
    return total;
}

/* As `moments`; what is not finite becomes NaN. */
static void column_moments(ptrdiff_t channels, ptrdiff_t rows, const real *x, ptrdiff_t stride, double *mean,
                           double *variance)
{
    const number share = (number)(1 / (double)rows);
    for (ptrdiff_t c = 0; c < channels; c += LANES) {
        const ptrdiff_t some = min_size(channels - c, LANES);
        const vreal origin = load_some(x + c, some);
        const vreal centre =
            origin +
            vnarrow(visit_columns(add_difference, origin, share, rows, some, x + c, stride, x + c, stride).first);
        const column_sums s = visit_columns(add_deviation, centre, share, rows, some, x + c, stride, x + c, stride);
        *(vwide_memory *)(mean + c) = vwiden(centre) + s.first;
        const vwide spread = s.second - s.first * s.first; /* negative by rounding where all are nearly equal */
        *(vwide_memory *)(variance + c) = (vwide)((wide_mask)spread & ~(wide_mask)(spread < 0));
    }
}

static void column_gradient_sums(ptrdiff_t channels, ptrdiff_t rows, const norm_pair *from, const real *mean,
                                 double *sum, double *product)
{
    for (ptrdiff_t c = 0; c < channels; c += LANES) {
        const ptrdiff_t some = min_size(channels - c, LANES);
        const column_sums s = visit_columns(add_gradient, load_some(mean + c, some), 1, rows, some, from->x + c,
                                            from->x_stride, from->dy + c, from->dy_stride);
        *(vwide_memory *)(sum + c) = s.first;
        *(vwide_memory *)(product + c) = s.second;
    }
}

INLINE vwide load_wide(const double *p) { return *(const vwide_memory *)p; }
INLINE vwide widened(const real *p, ptrdiff_t count) { return vwiden(load_some(p, count)); }
INLINE vwide vsqrt_wide(vwide x)
{
    double lanes[LANES]; /* a loop over an array becomes vectors, one over the lanes of a vector does not */
    memcpy(lanes, &x, sizeof x);
    for (int l = 0; l < LANES; l++)
        lanes[l] = __builtin_sqrt(lanes[l]);
    memcpy(&x, lanes, sizeof x);
    return x;
}

static int finish(ptrdiff_t channels, const double *moments[2], double eps, const norm_channels *to, real *terms,
                  ptrdiff_t pitch)
{
    const number tiny = (number)(REAL_BITS == 32 ? 0x1p-100 : 0x1p-900);
    const number huge = (number)(REAL_BITS == 32 ? 0x1p125 : 0x1p1021);
    vint odd = {0};
    for (ptrdiff_t c = 0; c < channels; c += LANES) {
        const ptrdiff_t some = min_size(channels - c, LANES);
        const vwide mean = load_wide(moments[0] + c), variance = load_wide(moments[1] + c);
        const vreal near = vnarrow(mean), spread = vnarrow(variance);
        odd |= (vint)first_lanes((vreal) ~((spread >= tiny) & (spread <= huge) & (near <= huge) & (near >= -huge)),
                                 some, 0);
        store_some(to->first + c, near, some);
        store_some(to->second + c, spread, some);
        store_some(terms + c, near, some);
        store_some(terms + pitch + c, vnarrow(mean - vwiden(near)), some);
        store_some(terms + 2 * pitch + c, vnarrow(widened(to->scale + c, some) / vsqrt_wide(variance + eps)), some);
        store_some(terms + 3 * pitch + c, load_some(to->other + c, some), some);
    }
    return vany(odd);
}

static void finish_gradient(ptrdiff_t channels, const double *sums[2], double positions, double eps,
                            const norm_channels *to, real *terms, ptrdiff_t pitch)
{
    const double share = 1 / positions;
    for (ptrdiff_t c = 0; c < channels; c += LANES) {
        const ptrdiff_t some = min_size(channels - c, LANES);
        const vwide sum = load_wide(sums[0] + c), product = load_wide(sums[1] + c);
        const vwide scale = 1 / vsqrt_wide(widened(to->other + c, some) + eps);
        store_some(to->first + c, vnarrow(sum), some);
        store_some(to->second + c, vnarrow(product * scale), some);
        store_some(terms + c, vnarrow(sum * share), some);
        store_some(terms + pitch + c, vnarrow(product * share * scale * scale), some);
        store_some(terms + 2 * pitch + c, vnarrow(widened(to->scale + c, some) * scale), some);
    }
}

/* ---- Maps ------------------------------------------------------------------------------------------------------- */

INLINE vreal affine(vreal x, vreal mean, vreal rest, vreal scale, vreal shift)
{
    return vfma((x - mean) - rest, scale, shift);
}

static void rows(ptrdiff_t channels, ptrdiff_t count, const real *x, ptrdiff_t x_stride, const norm_terms *terms,
                 ptrdiff_t channel, real *y, ptrdiff_t y_stride)
{
    for (ptrdiff_t c = channel; c < channel + channels; c++) {
        const vreal mean = vsplat(terms->mean[c]), rest = vsplat(terms->rest[c]);
        const vreal scale = vsplat(terms->scale[c]), shift = vsplat(terms->shift[c]);
        ptrdiff_t i = to_boundary(count, y);
        const int streamed = may_stream(terms->streamed, y + i);
        if (i > 0)
            vstore_part(y, affine(vload_part(x, i), mean, rest, scale, shift), i);
        for (; i + LANES <= count; i += LANES)
            put(y + i, affine(vload(x + i), mean, rest, scale, shift), streamed);
        if (i < count)
            vstore_part(y + i, affine(vload_part(x + i, count - i), mean, rest, scale, shift), count - i);
        x = plane_of(x, x_stride, 1);
        y = (real *)((char *)y + y_stride);
    }
}

static void columns(ptrdiff_t channels, ptrdiff_t rows, const real *x, ptrdiff_t x_stride, const norm_terms *terms,
                    real *y, ptrdiff_t y_stride)
{
    const int streamed = may_stream(terms->streamed && y_stride % VECTOR_BYTES == 0, y);
    for (ptrdiff_t i = 0; i < channels; i += LANES) {
        const ptrdiff_t some = channels - i;
        const vreal mean = load_some(terms->mean + i, some), rest = load_some(terms->rest + i, some);
        const vreal scale = load_some(terms->scale + i, some), shift = load_some(terms->shift + i, some);
        for (ptrdiff_t r = 0; r < rows; r++) {
            const vreal t = affine(load_some(plane_of(x, x_stride, r) + i, some), mean, rest, scale, shift);
            real *const to = (real *)((char *)y + r * y_stride) + i;
            if (some >= LANES)
                put(to, t, streamed);
            else
                vstore_part(to, t, some);
        }
    }
}

INLINE vreal gradient(vreal dy, vreal x, vreal weight, vreal mean, vreal offset, vreal slope, vreal scale)
{
    return vfnma(slope, x - mean, vfms(dy, weight, offset)) * scale;
}

static void gradient_rows(ptrdiff_t channels, ptrdiff_t count, const real *dy, ptrdiff_t dy_stride, const real *x,
                          ptrdiff_t x_stride, const norm_gradient_terms *terms, ptrdiff_t channel, real *dx,
                          ptrdiff_t dx_stride)
{
    for (ptrdiff_t c = channel; c < channel + channels; c++) {
        const vreal mean = vsplat(terms->mean[c]), offset = vsplat(terms->offset[c]);
        const vreal slope = vsplat(terms->slope[c]), scale = vsplat(terms->scale[c]);
        const vreal weight = vsplat(terms->weight ? terms->weight[c] : 1);
        ptrdiff_t i = to_boundary(count, dx);
        const int streamed = may_stream(terms->streamed, dx + i);
        if (i > 0)
            vstore_part(dx, gradient(vload_part(dy, i), vload_part(x, i), weight, mean, offset, slope, scale), i);
        for (; i + LANES <= count; i += LANES)
            put(dx + i, gradient(vload(dy + i), vload(x + i), weight, mean, offset, slope, scale), streamed);
        if (i < count) {
            const vreal d = vload_part(dy + i, count - i), rest = vload_part(x + i, count - i);
            vstore_part(dx + i, gradient(d, rest, weight, mean, offset, slope, scale), count - i);
        }
        dy = plane_of(dy, dy_stride, 1);
        x = plane_of(x, x_stride, 1);
        dx = (real *)((char *)dx + dx_stride);
    }
}

static void gradient_columns(ptrdiff_t channels, ptrdiff_t rows, const norm_pair *from,
                             const norm_gradient_terms *terms, real *dx, ptrdiff_t dx_stride)
{
    const int streamed = may_stream(terms->streamed && dx_stride % VECTOR_BYTES == 0, dx);
    for (ptrdiff_t i = 0; i < channels; i += LANES) {
        const ptrdiff_t some = channels - i;
        const vreal mean = load_some(terms->mean + i, some), offset = load_some(terms->offset + i, some);
        const vreal slope = load_some(terms->slope + i, some), scale = load_some(terms->scale + i, some);
        for (ptrdiff_t r = 0; r < rows; r++) {
            const vreal dy = load_some(plane_of(from->dy, from->dy_stride, r) + i, some);
            const vreal x = load_some(plane_of(from->x, from->x_stride, r) + i, some);
            real *const to = (real *)((char *)dx + r * dx_stride) + i;
            if (some >= LANES)
                put(to, gradient(dy, x, vsplat(1), mean, offset, slope, scale), streamed);
            else
                vstore_part(to, gradient(dy, x, vsplat(1), mean, offset, slope, scale), some);
        }
    }
}

const norm_primitives NAME(norm) = {
    .moments = moments,
    .column_moments = column_moments,
    .column_gradient_sums = column_gradient_sums,
    .finish = finish,
    .finish_gradient = finish_gradient,
    .rows = rows,
    .columns = columns,
    .gradient_sums = gradient_sums,
    .plane_gradient_sums = plane_gradient_sums,
    .gradient_rows = gradient_rows,
    .gradient_columns = gradient_columns,
};
