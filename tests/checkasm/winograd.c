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
    real *const extents = results(2 * width);
    evaluations(size, rows);
    for (ptrdiff_t o = 0; o < width; o++) {
        double largest = 0, sum = 0;
        for (ptrdiff_t e = 0; e < channels * taps; e++)
            largest = fmax(largest, fabs(x[e * width + o])), sum += fabs(x[e * width + o]);
        want(extents)[o] = (number)largest, want(extents)[width + o] = (number)sum;
    }
    for (ptrdiff_t c = 0; c < channels; c++)
        for (ptrdiff_t o = 0; o < width; o++) {
            for (int t = 0; t < taps; t++)
                g[t / size][t % size] = x[(c * taps + (turned ? taps - 1 - t : t)) * width + o];
            for (int f = 0; f < WINOGRAD_PLANES; f++)
                want(u)[f * plane + c * width + o] = (number)transformed(size, rows, g, f);
        }
    tolerate_sums();
    FORM(form, kernels)(channels, width, x, turned, u, plane, extents);
    verify();
}

void NAME(check_winograd_even_kernels)(void)
{
    const ptrdiff_t parts = between(1, 4), width = between(1, 3) * lanes(), outputs = between(1, width);
    real *const extents = nothing(2 * parts * width, INPUT);
    int even = 1;
    for (ptrdiff_t o = 0; o < width; o++) {
        const double scale = one_in(6) ? ldexp(1, (int)between(-120, 120)) : 1;
        double largest = 0, sum = 0;
        for (ptrdiff_t p = 0; p < parts; p++) {
            const double most = one_in(3) ? 0 : scale * (double)between(1, 9);
            const double all = most == 0 ? 0 : most + scale * (double)between(parts > 1 ? 0 : 7, 20);
            put_number(extents + 2 * p * width + o, most);
            put_number(extents + (2 * p + 1) * width + o, all);
            largest = fmax(largest, most), sum += all;
        }
        const double limit = ldexp(1, REAL_BITS == 32 ? 50 : 450);
        even &= o >= outputs || sum == 0 || (2 * largest <= sum && largest <= limit && largest >= 1 / (limit * limit));
    }
    if (FORM(one_in(2), even_kernels)(parts, width, extents, outputs) != even)
        fail("kernels are taken for what they are not");
    verify();
}

/* The rows or columns of a tile that are part p. */
static void part_of(int size, int p, int *begin, int *end)
{
    *begin = p == 0 ? 0 : p == 1 ? 2 : 6 - size;
    *end = p == 0 ? size : p == 1 ? (size == 3 ? 4 : 2) : 6;
}

static void want_energies(int size, int n, const double d[6][6], ptrdiff_t l, real *energies)
{
    for (int p = 0; p < (n == 6 ? WINOGRAD_PARTS : 1); p++) {
        int top = 0, bottom = n, left = 0, right = n;
        if (n == 6)
            part_of(size, p / 3, &top, &bottom), part_of(size, p % 3, &left, &right);
        for (int i = top; i < bottom; i++)
            for (int j = left; j < right; j++)
                want(energies)[p * lanes() + l] += (number)(d[i][j] * d[i][j]);
    }
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
    real *const energies = integers(tiles * WINOGRAD_PARTS * lanes(), RESULT);
    look_at(&g, &x);
    gradient ? evaluations(n, rows) : pixel_rows(rows);
    for (ptrdiff_t t = 0; t < tiles; t++)
        for (ptrdiff_t l = 0; l < lanes(); l++) {
            for (int i = 0; i < n; i++)
                for (int j = 0; j < n; j++)
                    d[i][j] = l < channels && is_inside(&g, row + i, column + step * t + j)
                                  ? *AT(x, 0, l, row + i, column + step * t + j)
                                  : 0;
            want_energies(size, n, d, l, energies + t * WINOGRAD_PARTS * lanes());
            for (int f = 0; f < WINOGRAD_PLANES; f++)
                want(v)[f * plane + t * tile + l] = (number)transformed(n, rows, d, f);
        }
    detail("image %td x %td, tiles %td from %td, %td on, channels %td", g.h, g.w, tiles, row, column, channels);
    tolerate_sums();
    (gradient ? FORM(form, gradient) : FORM(form, input))(&g, row, column, channels, tiles, pixels, v, plane, tile,
                                                          energies);
    verify();
}

void NAME(check_winograd_input)(void) { check_tiles_of(0); }
void NAME(check_winograd_gradient)(void) { check_tiles_of(1); }

/* Whether part p matters along an axis, whose first result of the tile is `first`. */
static int matters(int size, int p, ptrdiff_t first, ptrdiff_t count, ptrdiff_t pad, ptrdiff_t pixels)
{
    int begin, end, window = p == 2 ? 6 - size : p;
    part_of(size, p, &begin, &end);
    for (ptrdiff_t i = first - pad + begin; i < first - pad + end; i++)
        if (i >= 0 && i < pixels)
            return first + window < count;
    return 0;
}

void NAME(check_winograd_even)(void)
{
    const int form = one_in(2), size = form ? 5 : 3, step = 7 - size;
    const ptrdiff_t tiles = between(1, WINOGRAD_TILES), row = step * between(0, 3), column = step * between(0, 3);
    windows g = {.h = between(1, 12), .w = between(1, 40), .top = between(-1, 6), .left = between(-1, 6)};
    real *const energies = nothing(tiles * WINOGRAD_PARTS * lanes(), INPUT);
    int even = 1;
    g.oh = between(1, 14), g.ow = between(1, 44);
    for (ptrdiff_t t = 0; t < tiles; t++) {
        double parts[WINOGRAD_PARTS] = {0};
        const ptrdiff_t least = one_in(8) ? 0 : 1, most = one_in(4) ? 200 : 9;
        for (int p = 0; p < WINOGRAD_PARTS; p++)
            for (ptrdiff_t l = 0; l < lanes(); l++) {
                const double energy = (double)(one_in(9) ? between(least, most) : least);
                put_number(energies + (t * WINOGRAD_PARTS + p) * lanes() + l, energy);
                parts[p] += energy;
            }
        const double all = parts[0] + parts[2] + parts[6] + parts[8];
        for (int p = 0; p < WINOGRAD_PARTS; p++)
            if (matters(size, p / 3, row, g.oh, g.top, g.h) &&
                matters(size, p % 3, column + step * t, g.ow, g.left, g.w))
                even &= all > 0 && 128 * parts[p] >= all;
    }
    if (FORM(form, even)(&g, row, column, tiles, energies) != even)
        fail("tiles are taken for what they are not");
    verify();
}

void NAME(check_winograd_extents)(void)
{
    const int form = one_in(2), gradient = one_in(2);
    const ptrdiff_t tiles = between(1, WINOGRAD_TILES);
    real *const energies = nothing(tiles * WINOGRAD_PARTS * lanes(), INPUT);
    double largest = (double)between(0, 5), sum = (double)between(0, 5), most = largest, all = sum;
    for (ptrdiff_t e = 0; e < tiles * WINOGRAD_PARTS * lanes(); e++) {
        const ptrdiff_t p = e / lanes() % WINOGRAD_PARTS, root = between(0, 9);
        const int corner = p == 0 || p == 2 || p == 6 || p == 8;
        put_number(energies + e, p == 0 ? (double)(root * root) : corner && !gradient ? 0 : (double)between(0, 9));
        if (p == 0)
            most = fmax(most, (double)root), all += (double)root;
    }
    (gradient ? FORM(form, gradient_extent) : FORM(form, pixel_extent))(tiles, energies, &largest, &sum);
    same(largest, most, FLOAT64);
    same(sum, all, FLOAT64);
    verify();
}

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
