#include "covers.h"
#include "gather.h"
#include "parts.h"
#include "primitives.h"

INLINE void fill_plane(ptrdiff_t pixels, number bias, real *plane)
{
    const vreal v = vsplat(bias);
    ptrdiff_t p = 0;
    for (; p + LANES <= pixels; p += LANES)
        vstore(plane + p, v);
    if (p < pixels)
        vstore_part(plane + p, v, pixels - p);
}

/* One plane, tap by tap. Stores to it might change what pointers lead to: both structs are copies. */
static void plane_sum_by_taps(const windows *at, const patch_columns *columns, number bias, real *plane)
{
    const windows g = *at;
    const patch_columns cols = *columns;
    fill_plane(g.h * g.w, bias, plane);
    const char *tap = cols.x;
    for (ptrdiff_t a = 0; a < g.kh; a++)
        for (ptrdiff_t b = 0; b < g.kw; b++, tap += cols.tap) {
            const interval rows = inside(g.h, a * g.dh - g.top, g.sh, g.oh);
            const interval valid = inside(g.w, b * g.dw - g.left, g.sw, g.ow);
            const ptrdiff_t count = valid.last - valid.first;
            for (ptrdiff_t i = rows.first; i < rows.last; i++) {
                const char *const from = tap + (i * g.ow + valid.first) * cols.column;
                real *const to = plane + (i * g.sh + a * g.dh - g.top) * g.w + b * g.dw - g.left + valid.first * g.sw;
                ptrdiff_t j = 0;
                for (; g.sw == 1 && cols.column == sizeof(number) && j + LANES <= count; j += LANES)
                    vstore(to + j, vload(to + j) + vload((const real *)from + j));
                for (; j < count; j++)
                    to[j * g.sw] += *(const real *)(from + j * cols.column);
            }
        }
}

/* Pixels of the same phase, pixel + pad = phase (mod stride), are seen by the same taps: first, first + step, ...; that many
 * taps on, the window lies `spread` back. */
typedef struct {
    ptrdiff_t first, step, spread;
} phase_taps;

INLINE phase_taps taps_of(ptrdiff_t place, ptrdiff_t stride, ptrdiff_t dilation, ptrdiff_t kernel)
{
    phase_taps t = {.first = 0, .step = 1};
    while (t.first < kernel && (place - t.first * dilation) % stride != 0)
        t.first++;
    while (t.step * dilation % stride != 0)
        t.step++;
    t.spread = t.step * dilation / stride;
    return t;
}

/* The sums of `count` <= LANES pixels, `place` their (row + top, column + left), sw from one to the next. Where taps are many
 * sums are cut into pieces, which are added in double. */
INLINE vreal phase_sum(const bool many, const windows *g, const patch_columns *cols, phase_taps rows,
                       phase_taps columns, ptrdiff_t row, ptrdiff_t column, ptrdiff_t count, vreal sum)
{
    int terms = 0;
    vwide total = {0};
    ptrdiff_t i = (row - rows.first * g->dh) / g->sh; /* divides */
    const ptrdiff_t last = (column - columns.first * g->dw) / g->sw;
    for (ptrdiff_t a = rows.first; a < g->kh; a += rows.step, i -= rows.spread) {
        if (i < 0 || i >= g->oh)
            continue;
        ptrdiff_t j = last;
        for (ptrdiff_t b = columns.first; b < g->kw; b += columns.step, j -= columns.spread) {
            if (many && ++terms > LONGEST_CHAIN) {
                total += vwiden(sum);
                sum = (vreal){0};
                terms = 1;
            }
            const char *const x = cols->x + (a * g->kw + b) * cols->tap + (i * g->ow + j) * cols->column;
            if (j >= 0 && j + LANES <= g->ow && cols->column == sizeof(number)) {
                sum += vload((const real *)x); /* lanes from `count` on are not stored */
                continue;
            }
            const int from = (int)min_size(max_size(-j, 0), count),
                      end = (int)max_size(min_size(g->ow - j, count), from);
            if (from == end)
                continue;
            const vint lane = lane_numbers();
            sum = vselect((lane >= from) & (lane < end),
                          sum + gather(x, cols->column, lane_mask(cols->column, from, end)), sum);
        }
    }
    return many ? vnarrow(total + vwiden(sum)) : sum;
}

/* One plane, a vector of pixels of one phase at a time; those that no tap meets are the bias alone. */
INLINE void sum_by_phases(const bool many, windows copy, patch_columns columns_copy, number bias, real *plane)
{
    const windows *const g = &copy;
    const patch_columns *const cols = &columns_copy;
    fill_plane(g->h * g->w, bias, plane);
    for (ptrdiff_t first_row = 0; first_row < min_size(g->sh, g->h); first_row++) {
        const phase_taps rows = taps_of(first_row + g->top, g->sh, g->dh, g->kh);
        for (ptrdiff_t first_column = 0; first_column < min_size(g->sw, g->w); first_column++) {
            const phase_taps columns = taps_of(first_column + g->left, g->sw, g->dw, g->kw);
            if (rows.first == g->kh || columns.first == g->kw)
                continue;
            for (ptrdiff_t r = first_row; r < g->h; r += g->sh)
                for (ptrdiff_t s = first_column; s < g->w; s += g->sw * LANES) {
                    const ptrdiff_t count = min_size((g->w - s + g->sw - 1) / g->sw, LANES);
                    const vreal sum =
                        phase_sum(many, g, cols, rows, columns, r + g->top, s + g->left, count, vsplat(bias));
                    real *const to = plane + r * g->w + s;
                    for (ptrdiff_t l = 0; l < count; l++)
                        to[l * g->sw] = sum[l];
                }
        }
    }
}

static void plane_sum_by_phases(const windows *g, const patch_columns *cols, number bias, real *plane)
{
    sum_by_phases(false, *g, *cols, bias, plane);
}

static void plane_sum_of_many_taps(const windows *g, const patch_columns *cols, number bias, real *plane)
{
    sum_by_phases(true, *g, *cols, bias, plane);
}

/* Pixels of a plane, a vector at a time, as sums of covers of the columns. Where a pixel finds them is the same in every
 * plane, so that it is worked out once for a stretch of pixels whose covers fit into L1. */
enum { STRETCH_VECTORS = 32, STRETCH_COVERS = 128 };

typedef struct {
    ptrdiff_t pixel; /* the next */
    int vectors;
    int covers_of[STRETCH_VECTORS];
    cover covers[STRETCH_COVERS]; /* their offsets count from tap (0, 0) */
} stretch;

/* Row r and column s of a vector's pixels: r + top = sh * rows + row_rest, and so on. */
typedef struct {
    vint rows, row_rest, columns, column_rest;
    unsigned lanes;
} pixels;

INLINE pixels pixels_at(const windows *g, ptrdiff_t pixel)
{
    pixels v = {.lanes = 0};
    ptrdiff_t r = pixel / g->w + g->top, s = pixel % g->w + g->left;
    for (int l = 0; l < LANES && pixel + l < g->h * g->w; l++) {
        v.rows[l] = (integer)(r / g->sh);
        v.row_rest[l] = (integer)(r % g->sh);
        v.columns[l] = (integer)(s / g->sw);
        v.column_rest[l] = (integer)(s % g->sw);
        v.lanes |= 1u << l;
        if (++s == g->w + g->left) {
            s = g->left;
            r++;
        }
    }
    return v;
}

/* The covers of one more vector; false if they have no room. */
INLINE bool add_vector(stretch *v, const windows *g, const patch_columns *cols, int used)
{
    const pixels at = pixels_at(g, v->pixel);
    int count = used;
    ptrdiff_t tap = 0;
    for (ptrdiff_t a = 0; a < g->kh; a++) {
        const vint i = at.rows - (integer)(a * g->dh / g->sh);
        const vint row_seen = (at.row_rest == (integer)(a * g->dh % g->sh)) & (i >= 0) & (i < (integer)g->oh);
        if ((vmask_bits(row_seen) & at.lanes) == 0) {
            tap += g->kw * cols->tap;
            continue;
        }
        for (ptrdiff_t b = 0; b < g->kw; b++, tap += cols->tap) {
            const vint j = at.columns - (integer)(b * g->dw / g->sw);
            const vint seen =
                row_seen & (at.column_rest == (integer)(b * g->dw % g->sw)) & (j >= 0) & (j < (integer)g->ow);
            if (count + COVERS > STRETCH_COVERS)
                return false;
            const vint offset = (i * (integer)g->ow + j) * (integer)sizeof(number);
            const int more = cut_covers(offset, at.lanes & vmask_bits(seen), v->covers + count);
            if (more > COVERS)
                return false;
            for (int q = count; q < count + more; q++)
                v->covers[q].offset += tap;
            count += more;
        }
    }
    v->covers_of[v->vectors++] = count - used;
    return true;
}

INLINE void sum_stretch(const stretch *v, const char *cols, number bias, real *to, ptrdiff_t room)
{
    const cover *next = v->covers;
    for (int q = 0; q < v->vectors; q++, to += LANES, room -= LANES) {
        vreal sum = vsplat(bias);
        for (const cover *end = next + v->covers_of[q]; next < end; next++)
            sum += take(next, cols, vsplat(-0.0)); /* adding -0 changes nothing, not even another -0 */
        if (room >= LANES)
            vstore(to, sum);
        else
            vstore_part(to, sum, room);
    }
}

INLINE bool next_stretch(stretch *v, const windows *g, const patch_columns *cols)
{
    int used = 0;
    for (v->vectors = 0; v->vectors < STRETCH_VECTORS && v->pixel < g->h * g->w; v->pixel += LANES) {
        if (!add_vector(v, g, cols, used))
            break;
        used += v->covers_of[v->vectors - 1];
    }
    return v->vectors > 0;
}

/* What is added for a vector of pixels, number by number or by covers, which take the time of COVER_TIME numbers, and of
 * COVERS_PLAN shared by all planes. To begin a row of windows takes the time of ROW_TIME numbers. */
enum { COVER_TIME = 4, COVERS_PLAN = 25, ROW_TIME = 10 };

static bool by_stretches(const windows *g, ptrdiff_t planes, ptrdiff_t column)
{
    const bool small = g->oh * g->ow < INT32_MAX / 64 && g->h * g->w + g->top + g->left < INT32_MAX / 64;
    return WIDE_GATHER && planes >= 8 && column == sizeof(number) && small &&
           (g->ow + ROW_TIME) * LANES * planes > (COVER_TIME * planes + COVERS_PLAN) * g->ow * g->sw;
}

/* Pixels cost a number each by phases, and a vector as much again. */
static bool by_phases(const windows *g)
{
    const ptrdiff_t rows = min_size(g->kh, g->sh), columns = min_size(g->kw, g->sw);
    const ptrdiff_t vectors = (g->ow + LANES - 1) / LANES, sums = (g->kh / rows) * (g->kw / columns);
    return g->sw > 1 && VECTOR_BYTES > 16 && /* vectors that load some of their lanes */
           rows * columns * (g->ow + vectors * (LANES + COVER_TIME * sums)) < g->kh * g->kw * (g->ow + ROW_TIME);
}

void NAME(patch_sums)(const windows *g, ptrdiff_t images, ptrdiff_t channels, const patch_columns *cols,
                      const real *bias, char *to, ptrdiff_t to_image, ptrdiff_t to_channel)
{
    assert(g->h >= 1 && g->w >= 1 && g->top >= 0 && g->left >= 0);
    stretch v = {.pixel = 0};
    const ptrdiff_t plane = g->h * g->w;
    if (by_stretches(g, images * channels, cols->column))
        for (ptrdiff_t first = 0; next_stretch(&v, g, cols); first = v.pixel)
            for (ptrdiff_t n = 0; n < images; n++)
                for (ptrdiff_t c = 0; c < channels; c++)
                    sum_stretch(&v, cols->x + n * cols->image + c * cols->channel, bias ? bias[c] + 0 : 0,
                                (real *)(to + n * to_image + c * to_channel) + first, plane - first);
    if (v.pixel >= plane)
        return;
    const bool many = g->kh * g->kw > LONGEST_CHAIN, phases = by_phases(g);
    for (ptrdiff_t n = 0; n < images; n++)
        for (ptrdiff_t c = 0; c < channels; c++) {
            patch_columns one = *cols;
            one.x += n * cols->image + c * cols->channel;
            (many ? plane_sum_of_many_taps
             : phases
                 ? plane_sum_by_phases
                 : plane_sum_by_taps)(g, &one, bias ? bias[c] + 0 : 0, (real *)(to + n * to_image + c * to_channel));
        }
}
