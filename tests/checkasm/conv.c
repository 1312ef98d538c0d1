/* Patches and flat copies of images. */
#include "checkasm.h"

typedef struct {
    windows g;
    view x;
    ptrdiff_t images, channels;
} pictures;

static pictures some_pictures(ptrdiff_t least_pad)
{
    pictures v = {.images = between(1, 3), .channels = between(1, 6)};
    const ptrdiff_t wide = one_in(3) ? 60 : 12;
    v.g = windows_of(some_windows(9, 3, 3, 3, least_pad, 5, 1), some_windows(wide, 4, 4, 3, least_pad, 7, 1));
    v.x = VIEW(ANY_STRIDES, INPUT, v.images, v.channels, v.g.h, v.g.w);
    look_at(&v.g, &v.x);
    return v;
}

static void describe(const windows *g)
{
    detail("image %td x %td, kernel %td x %td, stride %td %td, dilation %td %td, pad %td %td, windows %td x %td", g->h,
           g->w, g->kh, g->kw, g->sh, g->sw, g->dh, g->dw, g->top, g->left, g->oh, g->ow);
}

/* patch[p, j] */
static number patch(const pictures *v, ptrdiff_t p, ptrdiff_t j)
{
    const windows *const g = &v->g;
    const ptrdiff_t b = p % g->kw, a = p / g->kw % g->kh, c = p / g->kw / g->kh;
    const ptrdiff_t row = j / g->ow % g->oh * g->sh + a * g->dh - g->top,
                    column = j % g->ow * g->sw + b * g->dw - g->left;
    return is_inside(g, row, column) ? *AT(v->x, j / g->ow / g->oh, c, row, column) : 0;
}

/* p0, rows, j0 and columns of a part of the patches */
static void some_part(const pictures *v, ptrdiff_t most_columns, ptrdiff_t part[4])
{
    const ptrdiff_t k = v->channels * v->g.kh * v->g.kw, n = v->images * v->g.oh * v->g.ow;
    part[0] = one_in(2) ? 0 : between(0, k - 1);
    part[1] = one_in(2) ? k - part[0] : between(1, k - part[0]);
    part[2] = one_in(2) ? 0 : between(0, n - 1);
    part[3] = n - part[2] < most_columns ? n - part[2] : most_columns;
    part[3] = one_in(2) ? part[3] : between(1, part[3]);
}

void NAME(check_patch_block)(void)
{
    ptrdiff_t part[4];
    const pictures v = some_pictures(-2);
    const ptrdiff_t widest = VALUE(tile, vectors);
    some_part(&v, BLOCK_PANELS * widest * lanes(), part);
    const ptrdiff_t k = part[1], vectors = up_to(part[3], lanes()) / lanes(), panels = panel_count(vectors, widest);
    real *const to = results(k * vectors * lanes());
    for (ptrdiff_t q = 0; q < panels; q++) {
        const ptrdiff_t first = panel_start(vectors, panels, q) * lanes(),
                        end = panel_start(vectors, panels, q + 1) * lanes();
        for (ptrdiff_t p = 0; p < k; p++)
            for (ptrdiff_t j = first; j < end; j++)
                *want(to + first * k + p * (end - first) + j - first) =
                    j < part[3] ? patch(&v, part[0] + p, part[2] + j) : 0;
    }
    describe(&v.g);
    CALL(conv, patch_block)(&v.g, part[0], k, part[2], part[3], to);
    verify();
}

void NAME(check_patch_rows)(void)
{
    ptrdiff_t part[4];
    const pictures v = some_pictures(-2);
    if (VALUE(conv, short_rows) > lanes())
        fail("rows of %td windows count as short", tested->conv->short_rows);
    some_part(&v, 2000, part);
    const ptrdiff_t stride = part[3] + between(0, 5);
    real *const to = results((part[1] - 1) * stride + part[3]);
    for (ptrdiff_t p = 0; p < part[1]; p++)
        for (ptrdiff_t j = 0; j < part[3]; j++)
            *want(to + p * stride + j) = patch(&v, part[0] + p, part[2] + j);
    describe(&v.g);
    CALL(conv, patch_rows)(&v.g, part[0], part[1], part[2], part[3], to, stride);
    verify();
}

void NAME(check_patch_sums)(void)
{
    const ptrdiff_t images = between(0, 3), channels = between(0, 5), wide = one_in(3) ? 50 : 12;
    const windows g = windows_of(some_windows(9, 3, 3, 3, 0, 5, 1), some_windows(wide, 4, 4, 3, 0, 7, 1));
    const ptrdiff_t taps = g.kh * g.kw, plane = g.h * g.w;
    const view cols = VIEW(ANY_STRIDES | (one_in(2) ? CLOSE : 0), INPUT, images, channels, taps, g.oh * g.ow);
    const patch_columns from = {cols.data, cols.strides[0], cols.strides[1], cols.strides[2], cols.strides[3]};
    const ptrdiff_t to_channel = plane + between(0, 3), to_image = channels * to_channel + between(0, 3);
    real *const bias = one_in(2) ? integers(channels, INPUT) : NULL, *const to = results(images * to_image);
    for (ptrdiff_t n = 0; n < images; n++)
        for (ptrdiff_t c = 0; c < channels; c++) {
            real *const sums = want(to + n * to_image + c * to_channel);
            for (ptrdiff_t i = 0; i < plane; i++)
                sums[i] = bias ? bias[c] : 0;
            for (ptrdiff_t t = 0; t < taps; t++)
                for (ptrdiff_t j = 0; j < g.oh * g.ow; j++) {
                    const ptrdiff_t row = j / g.ow * g.sh + t / g.kw * g.dh - g.top;
                    const ptrdiff_t column = j % g.ow * g.sw + t % g.kw * g.dw - g.left;
                    if (is_inside(&g, row, column))
                        sums[row * g.w + column] += *AT(cols, n, c, t, j);
                }
        }
    describe(&g);
    CALL(conv, patch_sums)(&g, images, channels, &from, bias, (char *)to, to_image * SIZE, to_channel * SIZE);
    verify();
}

void NAME(check_fill)(void)
{
    pictures v = some_pictures(-2);
    const windows *const g = &v.g;
    v.g.image_stride = 0; /* of the first image */
    const flat_layout flat = flat_layout_of(g);
    const ptrdiff_t pitch = flat.pitch + (one_in(3) ? between(0, 20) : 0), length = (g->oh + 2) * pitch;
    const ptrdiff_t r = between(0, flat.phases_h - 1) * g->dh % g->sh,
                    s = between(0, flat.phases_w - 1) * g->dw % g->sw;
    const ptrdiff_t start = between(0, length - 1), count = between(1, length - start),
                    channel = between(0, v.channels - 1);
    const ptrdiff_t room = count + (one_in(2) ? 0 : between(0, 40));
    real *const to = results(room);
    for (ptrdiff_t f = start; f < start + count; f++) {
        const ptrdiff_t row = f / pitch * g->sh + r - g->top, column = f % pitch * g->sw + s - g->left;
        *want(to + f - start) = is_inside(g, row, column) ? *AT(v.x, 0, channel, row, column) : 0;
    }
    describe(g);
    CALL(flat, fill)(g, pitch, channel, r, s, start, count, room, to);
    leave_open(to + count, room - count);
    verify();
}

void NAME(check_flat_store)(void)
{
    const ptrdiff_t rows = between(0, 4), ow = between(1, 3 * lanes()), pitch = ow + between(0, 5), oh = between(1, 6);
    const ptrdiff_t length = (oh - 1) * pitch + ow, start = between(0, length - 1), count = between(1, length - start);
    const ptrdiff_t stride = count + between(0, 3);
    real *const c = integers(rows ? (rows - 1) * stride + count : 0, INPUT);
    const view y = VIEW(ANY_RESULT, RESULT, rows, oh, ow);
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t f = start; f < start + count; f++)
            if (f % pitch < ow)
                *want(AT(y, r, f / pitch, f % pitch)) = c[r * stride + f - start];
    detail("places %td to %td of %td rows of %td, pitch %td", start, start + count, oh, ow, pitch);
    CALL(flat, store)(rows, start, count, pitch, ow, c, stride, y.data, y.strides[0], y.strides[1], y.strides[2]);
    verify();
}
