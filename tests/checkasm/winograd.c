/* Winograd's transforms against their matrices, which evaluate polynomials at the points 0, a, -a, b, -b and infinity.
 */
#include "checkasm.h"

static const double POINTS[5] = {0, 0x1.6a09e667f3bcdp-1, -0x1.6a09e667f3bcdp-1, 0x1.6a09e667f3bcdp+0,
                                 -0x1.6a09e667f3bcdp+0};

/* evaluation[f][n]: the coefficient of g[n] in row f of G, of n coefficients */
static void evaluations(int n, double to[6][6])
{
    for (int f = 0; f < 6; f++)
        for (int i = 0; i < n; i++) {
            double product = 1;
            for (int other = 0; f < 5 && other < 5; other++)
                product *= other == f ? 1 : POINTS[f] - POINTS[other];
            to[f][i] = f == 5 ? i == n - 1 : (i ? pow(POINTS[f], i) : 1) / product;
        }
}

/* Row f of B': the coefficients of the product of (x - point) over the other points; over all of them at infinity */
static void pixel_rows(double to[6][6])
{
    for (int f = 0; f < 6; f++) {
        double p[7] = {1};
        for (int other = 0; other < 5; other++)
            for (int i = 6; other != f && i >= 0; i--)
                p[i] = (i ? p[i - 1] : 0) - POINTS[other] * p[i];
        memcpy(to[f], p, sizeof to[f]);
    }
}

/* powers[f][i]: column i of A' */
static void powers(int n, double to[6][6])
{
    for (int f = 0; f < 6; f++)
        for (int i = 0; i < n; i++)
            to[f][i] = f == 5 ? i == n - 1 : i ? pow(POINTS[f], i) : 1;
}

/* M d M' for the rows of a matrix; d (n, n) */
static double transformed(int n, double rows[6][6], const double d[6][6], int f)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            sum += rows[f / 6][i] * rows[f % 6][j] * d[i][j];
    return sum;
}

static void tolerate_sums(void) { tolerate(0, 2048 * EPS); }

void NAME(check_winograd_kernels)(void)
{
    const int form = one_in(2), size = form ? 5 : 3, taps = size * size, turned = one_in(2);
    const ptrdiff_t channels = between(0, 4), width = between(1, 3) * lanes(), plane = channels * width + between(0, 9);
    double rows[6][6], g[6][6];
    real *const x = integers(channels * taps * width, INPUT), *const u = results((WINOGRAD_PLANES - 1) * plane +
                                                                                 channels * width);
    evaluations(size, rows);
    for (ptrdiff_t c = 0; c < channels; c++)
        for (ptrdiff_t o = 0; o < width; o++) {
            for (int t = 0; t < taps; t++)
                g[t / size][t % size] = x[(c * taps + (turned ? taps - 1 - t : t)) * width + o];
            for (int f = 0; f < WINOGRAD_PLANES; f++)
                want(u)[f * plane + c * width + o] = (number)transformed(size, rows, g, f);
        }
    tolerate_sums();
    if (!FORM(form, kernels)(channels, width, x, turned, u, plane))
        fail("small weights count as large");
    verify();
}

static void check_tiles_of(int gradient)
{
    const int form = one_in(2), size = form ? 5 : 3, step = 7 - size, n = gradient ? step : 6;
    const ptrdiff_t channels = one_in(2) ? lanes() : between(1, lanes()), tiles = between(1, WINOGRAD_TILES);
    windows g = {.h = between(1, 12), .w = between(1, 40)};
    const view x = VIEW(one_in(3) ? 0 : ANY_STRIDES, INPUT, 1, channels, g.h, g.w);
    const ptrdiff_t row = between(-n + 1, g.h - 1), column = between(-n + 1, g.w - 1), tile = lanes() * between(1, 3);
    const ptrdiff_t plane = tiles * tile + between(0, 9);
    double rows[6][6], d[6][6];
    real *const pixels = scratch(WINOGRAD_PIXELS * lanes()), *const v = results((WINOGRAD_PLANES - 1) * plane +
                                                                                (tiles - 1) * tile + lanes());
    look_at(&g, &x);
    gradient ? evaluations(n, rows) : pixel_rows(rows);
    for (ptrdiff_t t = 0; t < tiles; t++)
        for (ptrdiff_t l = 0; l < lanes(); l++) {
            for (int i = 0; i < n; i++)
                for (int j = 0; j < n; j++)
                    d[i][j] = l < channels && inside(&g, row + i, column + step * t + j)
                                  ? *AT(x, 0, l, row + i, column + step * t + j)
                                  : 0;
            for (int f = 0; f < WINOGRAD_PLANES; f++)
                want(v)[f * plane + t * tile + l] = (number)transformed(n, rows, d, f);
        }
    detail("image %td x %td, tiles %td from %td, %td on, channels %td", g.h, g.w, tiles, row, column, channels);
    tolerate_sums();
    if (!(gradient ? FORM(form, gradient) : FORM(form, input))(&g, row, column, channels, tiles, pixels, v, plane,
                                                               tile))
        fail("small pixels count as large");
    verify();
}

void NAME(check_winograd_input)(void) { check_tiles_of(0); }
void NAME(check_winograd_gradient)(void) { check_tiles_of(1); }

/* A' m A of lane l at m */
static void summed(int n, const real *m, ptrdiff_t plane, double to[6][6])
{
    double columns[6][6];
    powers(n, columns);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            to[i][j] = 0;
            for (int f = 0; f < WINOGRAD_PLANES; f++)
                to[i][j] += columns[f / 6][i] * columns[f % 6][j] * m[f * plane];
        }
}

void NAME(check_winograd_output)(void)
{
    const int form = one_in(2), step = form ? 2 : 4;
    const ptrdiff_t tiles = between(1, WINOGRAD_TILES), tile = lanes() * between(1, 3),
                    plane = tiles * tile + between(0, 9);
    const ptrdiff_t channels = one_in(2) ? lanes() : between(1, lanes());
    real *const m = integers((WINOGRAD_PLANES - 1) * plane + (tiles - 1) * tile + lanes(), INPUT);
    real *const bias = one_in(2) ? integers(channels, INPUT) : NULL;
    real *const pixels = results(step * step * tiles * lanes());
    double y[6][6];
    for (ptrdiff_t t = 0; t < tiles; t++)
        for (ptrdiff_t l = 0; l < lanes(); l++) {
            summed(step, m + t * tile + l, plane, y);
            for (int i = 0; i < step; i++)
                for (int j = 0; j < step; j++)
                    want(pixels)[((i * tiles + t) * step + j) * lanes() + l] =
                        (number)(y[i][j] + (bias && l < channels ? bias[l] : 0));
        }
    tolerate_sums();
    FORM(form, output)(tiles, m, plane, tile, bias, channels, pixels);
    verify();
}

void NAME(check_winograd_weights)(void)
{
    const int form = one_in(2), size = form ? 5 : 3, taps = size * size;
    const ptrdiff_t channels = between(0, 4), width = lanes() * between(1, 3), plane = channels * width + between(0, 9);
    real *const m = integers((WINOGRAD_PLANES - 1) * plane + channels * width, INPUT), *const to = results(
                                                                                           channels * taps * lanes());
    double y[6][6];
    for (ptrdiff_t c = 0; c < channels; c++)
        for (ptrdiff_t o = 0; o < lanes(); o++) {
            summed(size, m + c * width + o, plane, y);
            for (int t = 0; t < taps; t++)
                want(to)[(c * taps + t) * lanes() + o] = (number)y[t / size][t % size];
        }
    tolerate_sums();
    FORM(form, weights)(channels, m, plane, width, to);
    verify();
}

void NAME(check_winograd_store)(void)
{
    const ptrdiff_t channels = one_in(2) ? lanes() : between(1, lanes()), rows = between(0, 4),
                    columns = between(1, 40);
    const ptrdiff_t width = columns + between(0, 3);
    real *const pixels = integers(rows ? ((rows - 1) * width + columns) * lanes() : 0, INPUT);
    const view y = VIEW(ANY_RESULT, RESULT, channels, rows, columns);
    for (ptrdiff_t l = 0; l < channels; l++)
        for (ptrdiff_t i = 0; i < rows; i++)
            for (ptrdiff_t j = 0; j < columns; j++)
                *want(AT(y, l, i, j)) = pixels[(i * width + j) * lanes() + l];
    FORM(one_in(2), store)(channels, rows, columns, width, pixels, y.data, y.strides[0], y.strides[1], y.strides[2]);
    verify();
}
