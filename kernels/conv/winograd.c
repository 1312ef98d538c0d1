#include "parts.h"
#include "primitives.h"
#include "pixels.h"
#include "vmath.h"

/* The squares p = a^2 and q = b^2 of the points, and the points. */
#define P ((number)0.5)
#define Q ((number)2)
#define POINT_A ((number)0x1.6a09e667f3bcdp-1)
#define POINT_B ((number)0x1.6a09e667f3bcdp+0)

/* Beyond these a sum of thousands of products of transformed pixels and weights could overflow, or lose digits because it
 * underflows. For energies, which are sums of squares, the squares of them. */
#define LARGEST ((number)(REAL_BITS == 32 ? 0x1p50 : 0x1p450))
#define SMALLEST (1 / LARGEST)

/* The energy of a tile may be so many times that of what a window sees. */
#define UNEVEN 128

/* One line of each transform; n is constant where they are inlined. */

/* A polynomial of n coefficients, 2 <= n <= 5, at the points, divided by the product of (x - other points). */
INLINE void evaluate(const int n, const vreal g[], vreal r[6])
{
    const number na = 1 / (2 * P * (P - Q)), nb = 1 / (2 * Q * (Q - P));
    vreal even_a = g[0], even_b = g[0], odd_a = g[1], odd_b = g[1];
    if (n > 2)
        even_a = vfma(vsplat(P), g[2], even_a), even_b = vfma(vsplat(Q), g[2], even_b);
    if (n > 3)
        odd_a = vfma(vsplat(P), g[3], odd_a), odd_b = vfma(vsplat(Q), g[3], odd_b);
    if (n > 4)
        even_a = vfma(vsplat(P * P), g[4], even_a), even_b = vfma(vsplat(Q * Q), g[4], even_b);
    odd_a *= na * POINT_A, odd_b *= nb * POINT_B;
    r[0] = (1 / (P * Q)) * g[0];
    r[1] = vfma(vsplat(na), even_a, odd_a);
    r[2] = vfms(vsplat(na), even_a, odd_a);
    r[3] = vfma(vsplat(nb), even_b, odd_b);
    r[4] = vfms(vsplat(nb), even_b, odd_b);
    r[5] = g[n - 1];
}

INLINE void transform_pixels(const vreal d[6], vreal r[6])
{
    /* the coefficients of product of (x - other points) */
    const vreal p = vsplat(P), q = vsplat(Q), both = vsplat(P + Q), a = vsplat(POINT_A), b = vsplat(POINT_B);
    const vreal even_a = vfnma(d[2], q, d[4]), odd_a = vfnma(d[1], q, d[3]);
    const vreal even_b = vfnma(d[2], p, d[4]), odd_b = vfnma(d[1], p, d[3]);
    r[0] = vfnma(d[2], both, (P * Q) * d[0]) + d[4];
    r[1] = vfma(a, odd_a, even_a);
    r[2] = vfnma(a, odd_a, even_a);
    r[3] = vfma(b, odd_b, even_b);
    r[4] = vfnma(b, odd_b, even_b);
    r[5] = vfnma(d[3], both, (P * Q) * d[1]) + d[5];
}

/* Sums of m times the powers 0 to n - 1 of the points, 2 <= n <= 5. */
INLINE void sum_powers(const int n, const vreal m[6], vreal y[])
{
    const vreal even_a = m[1] + m[2], odd_a = m[1] - m[2], even_b = m[3] + m[4], odd_b = m[3] - m[4];
    y[0] = m[0] + (even_a + even_b);
    y[1] = vfma(vsplat(POINT_A), odd_a, POINT_B * odd_b);
    if (n > 2)
        y[2] = vfma(vsplat(P), even_a, Q * even_b);
    if (n > 3)
        y[3] = vfma(vsplat(P * POINT_A), odd_a, (Q * POINT_B) * odd_b);
    if (n > 4)
        y[4] = vfma(vsplat(P * P), even_a, (Q * Q) * even_b);
    y[n - 1] += m[5]; /* infinity */
}

INLINE void kernels(const int size, ptrdiff_t channels, ptrdiff_t width, const real *taps, int turned, real *u,
                    ptrdiff_t plane, real *extents)
{
    assert(width % LANES == 0);
    const ptrdiff_t step = turned ? -width : width;
    if (turned)
        taps += (size * size - 1) * width;
    memset(extents, 0, (size_t)(2 * width) * sizeof(number));
    for (ptrdiff_t c = 0; c < channels; c++)
        for (ptrdiff_t o = 0; o < width; o += LANES) {
            vreal half[6][5]; /* G g */
            vreal largest = vload(extents + o), sum = vload(extents + width + o);
            for (int j = 0; j < size; j++) {
                vreal g[5], r[6];
                UNROLL for (int i = 0; i < size; i++)
                {
                    g[i] = vload(taps + c * size * size * width + (i * size + j) * step + o);
                    largest = vmax(largest, vabs(g[i]));
                    sum += vabs(g[i]);
                }
                evaluate(size, g, r);
                UNROLL for (int i = 0; i < 6; i++) half[i][j] = r[i];
            }
            vstore(extents + o, largest);
            vstore(extents + width + o, sum);
            for (int i = 0; i < 6; i++) {
                vreal r[6];
                evaluate(size, half[i], r);
                UNROLL for (int j = 0; j < 6; j++) vstore(u + (i * 6 + j) * plane + c * width + o, r[j]);
            }
        }
}

static int even_kernels(ptrdiff_t parts, ptrdiff_t width, const real *extents, ptrdiff_t outputs)
{
    for (ptrdiff_t o = 0; o < outputs; o++) {
        number largest = 0, sum = 0;
        for (ptrdiff_t p = 0; p < parts; p++) {
            const real *const part = extents + 2 * p * width + o;
            largest = largest > part[0] ? largest : part[0];
            sum += part[width];
        }
        if (sum != 0 && !(largest <= sum - largest && largest <= LARGEST && largest >= SMALLEST * SMALLEST))
            return 0;
    }
    return 1;
}

/* The energies of the parts of a tile: sums of squares over rows and columns of
 *   0  the first window,  1  what all windows between see (none for 5x5 kernels),  2  the last window.
 * Every window of a row of windows sees all of one of these, and so both ways. */
INLINE void add_column(const int size, const vreal d[6], int column, vreal parts[3][3])
{
    vreal sums[3] = {{0}};
    UNROLL for (int i = 0; i < 6; i++)
    {
        if (i < size)
            sums[0] = vfma(d[i], d[i], sums[0]);
        if (size == 3 && (i == 2 || i == 3))
            sums[1] = vfma(d[i], d[i], sums[1]);
        if (i >= 6 - size)
            sums[2] = vfma(d[i], d[i], sums[2]);
    }
    UNROLL for (int r = 0; r < 3; r++)
    {
        if (column < size)
            parts[r][0] += sums[r];
        if (size == 3 && (column == 2 || column == 3))
            parts[r][1] += sums[r];
        if (column >= 6 - size)
            parts[r][2] += sums[r];
    }
}

/* Where `parts` of a tile matter along an axis: a window of theirs is wanted, and they hold pixels. */
INLINE void seen_parts(const int size, ptrdiff_t first, ptrdiff_t count, ptrdiff_t pad, ptrdiff_t pixels, bool seen[3])
{
    const ptrdiff_t window[3] = {0, 1, 6 - size}, begin[3] = {0, 2, 6 - size}, end[3] = {size, size == 3 ? 4 : 2, 6};
    UNROLL for (int p = 0; p < 3; p++) seen[p] =
        first + window[p] < count && first - pad + begin[p] < pixels && first - pad + end[p] > 0 && begin[p] < end[p];
}

INLINE int even_tiles(const int size, const windows *g, ptrdiff_t row, ptrdiff_t column, ptrdiff_t tiles,
                      const real *energies)
{
    bool rows[3], columns[3];
    seen_parts(size, row, g->oh, g->top, g->h, rows);
    for (ptrdiff_t t = 0; t < tiles; t++) {
        number parts[WINOGRAD_PARTS], least = LARGEST * LARGEST;
        seen_parts(size, column + (7 - size) * t, g->ow, g->left, g->w, columns);
        UNROLL for (int p = 0; p < WINOGRAD_PARTS; p++)
        {
            parts[p] = lane_sum(vload(energies + (t * WINOGRAD_PARTS + p) * LANES));
            if (rows[p / 3] && columns[p % 3] && !(parts[p] >= least))
                least = parts[p];
        }
        const number all = (parts[0] + parts[2]) + (parts[6] + parts[8]);
        const bool seen = (rows[0] | rows[1] | rows[2]) & (columns[0] | columns[1] | columns[2]);
        if (seen && !(UNEVEN * least >= all && all >= SMALLEST * SMALLEST && all <= LARGEST * LARGEST))
            return 0;
    }
    return 1;
}

INLINE void extent(const int corners, ptrdiff_t tiles, const real *energies, double *largest, double *sum)
{
    vreal most = {0}, all = {0};
    for (ptrdiff_t t = 0; t < tiles; t++) {
        const real *const parts = energies + t * WINOGRAD_PARTS * LANES;
        vreal tile = vload(parts);
        if (corners > 1)
            tile = (tile + vload(parts + 2 * LANES)) + (vload(parts + 6 * LANES) + vload(parts + 8 * LANES));
        tile = vsqrt(tile);
        most = vmax(most, tile);
        all += tile;
    }
    for (int l = 0; l < LANES; l++) {
        *largest = *largest > most[l] ? *largest : most[l];
        *sum += all[l];
    }
}

/* Tiles of n x n pixels, `step` apart: 6 of the image, `step` of dy. */
INLINE void transform_tiles(const int n, const int step, const windows *g, ptrdiff_t row, ptrdiff_t column,
                            ptrdiff_t channels, ptrdiff_t tiles, real *pixels, real *v, ptrdiff_t plane, ptrdiff_t tile,
                            real *energies)
{
    assert(tiles >= 1 && tiles <= WINOGRAD_TILES && channels >= 1 && channels <= LANES);
    const ptrdiff_t width = step * tiles + n - step;
    const int parts = n == 6 ? WINOGRAD_PARTS : 1;
    for (ptrdiff_t i = 0; i < n; i++) {
        real *const to = pixels + i * width * LANES;
        if (row + i >= 0 && row + i < g->h)
            pixels_of_row(g, g->x + (row + i) * g->row_stride, column, channels, width, to);
        else
            memset(to, 0, (size_t)(width * LANES) * sizeof(number));
    }
    for (ptrdiff_t t = 0; t < tiles; t++) {
        vreal half[6][6]; /* B' d, or G d */
        vreal energy[3][3] = {{{0}}};
        _Pragma("GCC unroll 6") for (int j = 0; j < n; j++)
        {
            vreal d[6] = {{0}}, r[6];
            UNROLL for (int i = 0; i < n; i++) d[i] = vload(pixels + (i * width + step * t + j) * LANES);
            if (n == 6)
                add_column(7 - step, d, j, energy);
            else
                UNROLL for (int i = 0; i < n; i++) energy[0][0] = vfma(d[i], d[i], energy[0][0]);
            if (n == 6)
                transform_pixels(d, r);
            else
                evaluate(n, d, r);
            UNROLL for (int i = 0; i < 6; i++) half[i][j] = r[i];
        }
        for (int i = 0; i < 6; i++) {
            vreal r[6];
            if (n == 6)
                transform_pixels(half[i], r);
            else
                evaluate(n, half[i], r);
            UNROLL for (int j = 0; j < 6; j++) vstore(v + (i * 6 + j) * plane + t * tile, r[j]);
        }
        real *const sums = energies + t * WINOGRAD_PARTS * LANES;
        UNROLL for (int p = 0; p < parts; p++) vstore(sums + p * LANES, vload(sums + p * LANES) + energy[p / 3][p % 3]);
    }
}

/* r = A' m A, n x n, of m at m[f * plane] */
INLINE void transform_sums(const int n, const real *m, ptrdiff_t plane, vreal r[5][5])
{
    vreal half[5][6];
    for (int j = 0; j < 6; j++) {
        vreal column[6], y[5];
        UNROLL for (int i = 0; i < 6; i++) column[i] = vload(m + (i * 6 + j) * plane);
        sum_powers(n, column, y);
        UNROLL for (int i = 0; i < n; i++) half[i][j] = y[i];
    }
    for (int i = 0; i < n; i++)
        sum_powers(n, half[i], r[i]);
}

INLINE void output(const int step, ptrdiff_t tiles, const real *m, ptrdiff_t plane, ptrdiff_t tile, const real *bias,
                   ptrdiff_t channels, real *pixels)
{
    const vreal start = positive_zeros(bias != NULL ? vload_part(bias, channels) : (vreal){0});
    for (ptrdiff_t t = 0; t < tiles; t++) {
        vreal y[5][5];
        transform_sums(step, m + t * tile, plane, y);
        for (int i = 0; i < step; i++)
            UNROLL for (int j = 0; j < step; j++)
            {
                vstore(pixels + ((i * tiles + t) * step + j) * LANES, y[i][j] + start);
            }
    }
}

INLINE void weights(const int size, ptrdiff_t channels, const real *m, ptrdiff_t plane, ptrdiff_t width, real *taps)
{
    for (ptrdiff_t c = 0; c < channels; c++) {
        vreal y[5][5];
        transform_sums(size, m + c * width, plane, y);
        for (int i = 0; i < size; i++)
            UNROLL for (int j = 0; j < size; j++) vstore(taps + ((c * size + i) * size + j) * LANES, y[i][j]);
    }
}

/* F(step x step, size x size) with step + size = 7 */
#define FORM(size, step)                                                                                               \
    static void kernels_##size(ptrdiff_t channels, ptrdiff_t width, const real *taps, int turned, real *u,             \
                               ptrdiff_t plane, real *extents)                                                         \
    {                                                                                                                  \
        kernels(size, channels, width, taps, turned, u, plane, extents);                                               \
    }                                                                                                                  \
    static void input_##size(const windows *g, ptrdiff_t row, ptrdiff_t column, ptrdiff_t channels, ptrdiff_t tiles,   \
                             real *pixels, real *v, ptrdiff_t plane, ptrdiff_t tile, real *energies)                   \
    {                                                                                                                  \
        transform_tiles(6, step, g, row, column, channels, tiles, pixels, v, plane, tile, energies);                   \
    }                                                                                                                  \
    static int even_##size(const windows *g, ptrdiff_t row, ptrdiff_t column, ptrdiff_t tiles, const real *energies)   \
    {                                                                                                                  \
        return even_tiles(size, g, row, column, tiles, energies);                                                      \
    }                                                                                                                  \
    static void gradient_##size(const windows *g, ptrdiff_t row, ptrdiff_t column, ptrdiff_t channels,                 \
                                ptrdiff_t tiles, real *pixels, real *v, ptrdiff_t plane, ptrdiff_t tile,               \
                                real *energies)                                                                        \
    {                                                                                                                  \
        transform_tiles(step, step, g, row, column, channels, tiles, pixels, v, plane, tile, energies);                \
    }                                                                                                                  \
    static void output_##size(ptrdiff_t tiles, const real *m, ptrdiff_t plane, ptrdiff_t tile, const real *bias,       \
                              ptrdiff_t channels, real *pixels)                                                        \
    {                                                                                                                  \
        output(step, tiles, m, plane, tile, bias, channels, pixels);                                                   \
    }                                                                                                                  \
    static void weights_##size(ptrdiff_t channels, const real *m, ptrdiff_t plane, ptrdiff_t width, real *taps)        \
    {                                                                                                                  \
        weights(size, channels, m, plane, width, taps);                                                                \
    }
FORM(3, 4)
FORM(5, 2)

static void pixel_extent(ptrdiff_t tiles, const real *energies, double *largest, double *sum)
{
    extent(4, tiles, energies, largest, sum);
}
static void gradient_extent(ptrdiff_t tiles, const real *energies, double *largest, double *sum)
{
    extent(1, tiles, energies, largest, sum);
}

#define FORM_ENTRY(size)                                                                                               \
    {.kernels = kernels_##size,                                                                                        \
     .even_kernels = even_kernels,                                                                                     \
     .input = input_##size,                                                                                            \
     .even = even_##size,                                                                                              \
     .output = output_##size,                                                                                          \
     .store = store_pixels,                                                                                            \
     .gradient = gradient_##size,                                                                                      \
     .weights = weights_##size,                                                                                        \
     .pixel_extent = pixel_extent,                                                                                     \
     .gradient_extent = gradient_extent}

const winograd_primitives NAME(winograd)[2] = {FORM_ENTRY(3), FORM_ENTRY(5)};
