#include "fold.h"
#include "places.h"
#include "primitives.h"

static void fold(int mean, const char *x, ptrdiff_t row_stride, ptrdiff_t rows, ptrdiff_t count, real *line)
{
    assert(rows >= 1 && count >= 0);
    if (mean)
        fold_window_rows(SUM, x, row_stride, rows, count, line);
    else
        fold_window_rows(MAX, x, row_stride, rows, count, line);
}

enum { CHAINS = 4 }; /* vectors of a row that are compared at once: a chain of comparisons waits for each of them */

INLINE void fold_some_places(const int vectors, const char *x, ptrdiff_t row_stride, ptrdiff_t rows, ptrdiff_t place,
                             ptrdiff_t step, ptrdiff_t count, real *line, real *places)
{
    best all[CHAINS];
    for (int v = 0; v < vectors; v++)
        all[v] = (best){load_some((const real *)x + v * LANES, count), (vbits){0} + (bits)place};
    for (ptrdiff_t r = 1; r < rows; r++) {
        const vbits here = (vbits){0} + (bits)(place + r * step);
        for (int v = 0; v < vectors; v++)
            all[v] = better(all[v], load_some((const real *)(x + r * row_stride) + v * LANES, count), here);
    }
    for (int v = 0; v < vectors; v++) {
        store_some(line + v * LANES, all[v].value, count);
        store_some(places + v * LANES, (vreal)all[v].place, count);
    }
}

static void fold_places(const char *x, ptrdiff_t row_stride, ptrdiff_t rows, ptrdiff_t place, ptrdiff_t step,
                        ptrdiff_t count, real *line, real *places)
{
    assert(rows >= 1 && count >= 0);
    ptrdiff_t c = 0;
    for (; c + CHAINS * LANES <= count; c += CHAINS * LANES)
        fold_some_places(CHAINS, (const char *)((const real *)x + c), row_stride, rows, place, step, LANES, line + c,
                         places + c);
    for (; c < count; c += LANES)
        fold_some_places(1, (const char *)((const real *)x + c), row_stride, rows, place, step, count - c, line + c,
                         places + c);
}

INLINE vreal fold_pixels(int op, const real *line, ptrdiff_t pitch, ptrdiff_t pixels)
{
    if (op == SUM && pixels > LONGEST_CHAIN)
        return sum_of_vectors((const char *)line, pitch * (ptrdiff_t)sizeof(number), pixels, LANES);
    vreal all = vload(line);
    for (ptrdiff_t c = 1; c < pixels; c++)
        all = combine(op, all, vload(line + c * pitch));
    return all;
}

INLINE void fold_line(int op, const interval *columns, ptrdiff_t count, ptrdiff_t planes, ptrdiff_t pitch,
                      const real *heights, const real *line, real *y)
{
    const vreal rows = heights == NULL ? vsplat(0) : vload(heights);
    for (ptrdiff_t j = 0; j < count; j++) {
        const ptrdiff_t pixels = columns[j].last - columns[j].first;
        const vreal divisor = rows * vsplat((number)pixels);
        for (ptrdiff_t p = 0; p < planes; p += LANES, y += LANES) {
            const vreal all = fold_pixels(op, line + columns[j].first * pitch + p, pitch, pixels);
            vstore(y, op == SUM && heights != NULL ? all / divisor : all);
        }
    }
}

static void along(int mean, const interval *columns, ptrdiff_t count, ptrdiff_t planes, ptrdiff_t pitch,
                  const real *heights, const real *line, real *y)
{
    if (mean)
        fold_line(SUM, columns, count, planes, pitch, heights, line, y);
    else
        fold_line(MAX, columns, count, planes, pitch, NULL, line, y);
}

/* Pixels come in the order of columns, their maxima from any rows: of equal ones the place that comes first counts. */
INLINE best better_or_earlier(best old, vreal value, vbits place)
{
    const vint number = value == value, old_number = old.value == old.value;
    const vint above = (value > old.value) | (~number & old_number);
    const vint equal = (value == old.value) | ~(number | old_number);
    const vint found = above | (equal & ((vint)place < (vint)old.place));
    return (best){vselect(found, value, old.value), ((vbits)found & place) | (~(vbits)found & old.place)};
}

static void along_places(const interval *columns, ptrdiff_t count, ptrdiff_t planes, ptrdiff_t pitch, const real *line,
                         const real *line_places, real *y, real *places)
{
    for (ptrdiff_t j = 0; j < count; j++)
        for (ptrdiff_t p = 0; p < planes; p += LANES, y += LANES, places += LANES) {
            const real *const value = line + p, *const place = line_places + p;
            ptrdiff_t c = columns[j].first;
            best all = {vload(value + c * pitch), (vbits)vload(place + c * pitch) + (bits)c};
            for (c++; c < columns[j].last; c++)
                all = better_or_earlier(all, vload(value + c * pitch), (vbits)vload(place + c * pitch) + (bits)c);
            vstore(y, all.value);
            vstore(places, (vreal)all.place);
        }
}

static void narrow_places(ptrdiff_t count, const real *places, int32_t *to)
{
    for (ptrdiff_t i = 0; i < count; i += LANES)
        store_places(to + i, (vbits)load_some(places + i, count - i), count - i);
}

static void shares(const interval *columns, ptrdiff_t count, ptrdiff_t planes, ptrdiff_t height, const real *dy,
                   real *to)
{
    assert(planes == 1 || planes % LANES == 0);
    if (planes == 1) {
        for (ptrdiff_t j = 0; j < count; j += LANES) {
            const ptrdiff_t rest = min_size(LANES, count - j);
            number pixels[LANES];
            for (ptrdiff_t l = 0; l < LANES; l++) {
                const interval window = columns[j + min_size(l, rest - 1)];
                pixels[l] = (number)(window.last - window.first);
            }
            store_some(to + j, load_some(dy + j, rest) / (vsplat((number)height) * vload(pixels)), rest);
        }
        return;
    }
    for (ptrdiff_t j = 0; j < count; j++) {
        const vreal divisor = vsplat((number)height * (number)(columns[j].last - columns[j].first));
        for (ptrdiff_t p = 0; p < planes; p += LANES)
            vstore(to + j * planes + p, vload(dy + j * planes + p) / divisor);
    }
}

/* A run is written by whole vectors, over what later runs write. */
static void spread_runs(const run_of_elements *runs, ptrdiff_t count, const real *line, real *row)
{
    for (ptrdiff_t left = count; left > 0; left -= runs->count, row += runs->count, runs++) {
        const interval windows = runs->windows;
        double total = 0;
        number sum = line[windows.first];
        for (ptrdiff_t j = windows.first + 1; j < windows.last; j++) {
            if ((j - windows.first) % LONGEST_CHAIN == 0) {
                total += (double)sum;
                sum = 0;
            }
            sum += line[j];
        }
        if (windows.last - windows.first > LONGEST_CHAIN)
            sum = (number)(total + (double)sum);
        for (ptrdiff_t c = 0; c < runs->count; c += LANES)
            store_some(row + c, vsplat(sum), left - c);
    }
}

const adaptive_primitives NAME(adaptive) = {
    .fold = fold,
    .fold_places = fold_places,
    .along = along,
    .along_places = along_places,
    .narrow_places = narrow_places,
    .shares = shares,
    .spread_runs = spread_runs,
};
