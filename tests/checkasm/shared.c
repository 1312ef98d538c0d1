#include "checkasm.h"
#include "checks.h"

const primitives *tested, *generic, *exact;

void NAME(set_tables)(const void *isa, const void *portable, const void *portable_float64)
{
    tested = isa, generic = portable, exact = portable_float64;
}

#define DECLARE(name) extern void NAME(check_##name)(void);
CHECKS(DECLARE)
#define ENTRY(name) NAME(check_##name),
void (*const NAME(checks)[])(void) = {CHECKS(ENTRY)};

static void fill_view(const view *v, int role)
{
    ptrdiff_t index[AXES] = {0}, count = 1;
    for (int a = 0; a < v->axes; a++)
        count *= v->shape[a];
    for (; count > 0; count--) {
        real *const at = element(v, index);
        if (role & BYTES)
            *(uint8_t *)at = *want((uint8_t *)at) = (uint8_t)between(0, 255);
        else
            put_number(at, (double)between(-3, 3));
        for (int a = v->axes - 1; a >= 0 && ++index[a] == v->shape[a]; a--)
            index[a] = 0;
    }
}

view some_view(int axes, const ptrdiff_t *shape, int layout, array_role role)
{
    view v = {.axes = axes};
    int order[AXES];
    const int turn = layout & TURNED && one_in(2);
    for (int a = 0; a < axes; a++) {
        v.shape[a] = shape[a];
        order[a] = axes - 1 - a; /* the innermost first */
    }
    for (int a = axes - 1; turn && a > (layout & CLOSE ? 1 : 0); a--) {
        const int b = (int)between(layout & CLOSE ? 1 : 0, a), other = order[a];
        order[a] = order[b], order[b] = other;
    }
    const ptrdiff_t size = layout & BYTES ? 1 : SIZE;
    const int gaps = layout & GAPS && one_in(2), odd = layout & ODD && one_in(6);
    ptrdiff_t step = size, begin = 0, bytes = size;
    for (int a = 0; a < axes; a++) {
        const int axis = order[a], close = layout & CLOSE && a == 0;
        ptrdiff_t stride = step;
        if (gaps && !close)
            stride += between(0, 2) * size + (odd ? between(0, size - 1) : 0);
        step = stride * (shape[axis] > 0 ? shape[axis] : 1);
        if (layout & STILL && !close && one_in(12))
            step = stride, stride = odd ? 0 : size * between(0, stride / size);
        if (layout & BACK && !close && one_in(4))
            stride = -stride;
        v.strides[axis] = stride;
        if (shape[axis] == 0)
            bytes = 0;
        else if (stride < 0)
            begin -= (shape[axis] - 1) * stride, bytes -= bytes ? (shape[axis] - 1) * stride : 0;
        else
            bytes += bytes ? (shape[axis] - 1) * stride : 0;
    }
    char *const data = odd || size == 1 ? claim(bytes, 1, OTHER, role, 1) : claim(bytes / SIZE, SIZE, KIND, role, 1);
    v.data = bytes ? data + begin : data;
    if (role == INPUT)
        fill_view(&v, layout);
    return v;
}

static int sees(const axis_windows *w, ptrdiff_t i)
{
    for (ptrdiff_t t = 0; t < w->kernel; t++) {
        const ptrdiff_t at = i * w->stride + t * w->dilation - w->before;
        if (at >= 0 && at < w->size)
            return 1;
    }
    return 0;
}

axis_windows some_windows(ptrdiff_t most_size, ptrdiff_t most_kernel, ptrdiff_t most_stride, ptrdiff_t most_dilation,
                          ptrdiff_t least_pad, ptrdiff_t most_pad, int blind)
{
    axis_windows w;
    do {
        w = (axis_windows){.size = between(1, most_size),
                           .kernel = between(1, most_kernel),
                           .stride = between(1, most_stride),
                           .dilation = one_in(2) ? 1 : between(1, most_dilation)};
        w.before = one_in(2) ? 0 : between(least_pad, most_pad);
        w.after = one_in(2) ? 0 : between(least_pad, most_pad);
        const ptrdiff_t room = w.size + w.before + w.after - (w.kernel - 1) * w.dilation - 1;
        w.count = room < 0 ? 0 : room / w.stride + 1;
        for (ptrdiff_t i = 0; !blind && i < w.count; i++)
            w.count = sees(&w, i) ? w.count : 0;
    } while (w.count == 0);
    return w;
}

windows windows_of(axis_windows rows, axis_windows columns)
{
    return (windows){.h = rows.size,
                     .w = columns.size,
                     .kh = rows.kernel,
                     .kw = columns.kernel,
                     .sh = rows.stride,
                     .sw = columns.stride,
                     .dh = rows.dilation,
                     .dw = columns.dilation,
                     .top = rows.before,
                     .left = columns.before,
                     .oh = rows.count,
                     .ow = columns.count};
}

void look_at(windows *g, const view *images)
{
    const ptrdiff_t *const s = images->strides;
    g->x = images->data;
    g->image_stride = s[0], g->channel_stride = s[1], g->row_stride = s[2], g->column_stride = s[3];
}
