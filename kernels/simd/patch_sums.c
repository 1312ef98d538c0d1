#include "covers.h"
#include "gather.h"
#include "primitives.h"

/* One plane, tap by tap. */
static void plane_sum(const windows *g, const patch_columns *cols, number bias, real *plane)
{
    for (ptrdiff_t p = 0; p < g->h * g->w; p++)
        plane[p] = bias;
    const char *tap = cols->x;
    for (ptrdiff_t a = 0; a < g->kh; a++)
        for (ptrdiff_t b = 0; b < g->kw; b++, tap += cols->tap) {
            const range rows = inside(g->h, g->sh, a * g->dh - g->top, g->oh);
            const range valid = inside(g->w, g->sw, b * g->dw - g->left, g->ow);
            for (ptrdiff_t i = rows.first; i < rows.last; i++) {
                const ptrdiff_t to = (i * g->sh + a * g->dh - g->top) * g->w + b * g->dw - g->left;
                const char *const from = tap + i * g->ow * cols->column;
                if (g->sw == 1 && cols->column == sizeof(number))
                    for (ptrdiff_t j = valid.first; j < valid.last; j++)
                        plane[to + j] += ((const real *)from)[j];
                else
                    for (ptrdiff_t j = valid.first; j < valid.last; j++)
                        plane[to + j * g->sw] += *(const real *)(from + j * cols->column);
            }
        }
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

void NAME(patch_sums)(const windows *g, ptrdiff_t images, ptrdiff_t channels, const patch_columns *cols, const real *bias,
                      char *to, ptrdiff_t to_image, ptrdiff_t to_channel)
{
    stretch v = {.pixel = 0};
    const ptrdiff_t size = sizeof(number), plane = g->h * g->w;
    const bool small = g->oh * g->ow < INT32_MAX / 64 && plane + g->top + g->left < INT32_MAX / 64;
    if (WIDE_GATHER && images * channels >= 8 && cols->column == size && small)
        for (ptrdiff_t first = 0; next_stretch(&v, g, cols); first = v.pixel)
            for (ptrdiff_t n = 0; n < images; n++)
                for (ptrdiff_t c = 0; c < channels; c++)
                    sum_stretch(&v, cols->x + n * cols->image + c * cols->channel, bias ? bias[c] : 0,
                                (real *)(to + n * to_image + c * to_channel) + first, plane - first);
    if (v.pixel >= plane)
        return;
    for (ptrdiff_t n = 0; n < images; n++)
        for (ptrdiff_t c = 0; c < channels; c++) {
            patch_columns one = *cols;
            one.x += n * cols->image + c * cols->channel;
            plane_sum(g, &one, bias ? bias[c] : 0, (real *)(to + n * to_image + c * to_channel));
        }
}
