#include "primitives.h"

enum { GATHER, SCATTER };

/* One run along the innermost axis. */
INLINE void copy_run(const int direction, char *at, ptrdiff_t stride, ptrdiff_t count, real *row)
{
    if (stride == sizeof(number)) {
        const size_t bytes = (size_t)count * sizeof(number);
        memcpy(direction == GATHER ? (char *)row : at, direction == GATHER ? at : (char *)row, bytes);
    } else if (direction == GATHER) {
        for (ptrdiff_t i = 0; i < count; i++)
            row[i] = *(const real *)(at + i * stride);
    } else {
        for (ptrdiff_t i = 0; i < count; i++)
            *(real *)(at + i * stride) = row[i];
    }
}

/* An odometer over the axes, whose innermost wheel turns a run at a time. */
INLINE void walk(const int direction, const strided *array, ptrdiff_t first, ptrdiff_t count, real *row)
{
    assert(array->axes >= 1 && first >= 0 && count >= 0);
    const int inner = array->axes - 1;
    const ptrdiff_t *const shape = array->shape, *const strides = array->strides;
    ptrdiff_t index[STRIDED_AXES];
    char *at = array->data;
    for (int axis = inner; axis >= 0 && count > 0; axis--) {
        index[axis] = first % shape[axis];
        first /= shape[axis];
        at += index[axis] * strides[axis];
    }
    while (count > 0) {
        const ptrdiff_t run = min_size(count, shape[inner] - index[inner]);
        copy_run(direction, at, strides[inner], run, row);
        row += run;
        count -= run;
        index[inner] += run;
        at += run * strides[inner];
        for (int axis = inner; axis > 0 && index[axis] == shape[axis]; axis--) {
            at += strides[axis - 1] - shape[axis] * strides[axis];
            index[axis] = 0;
            index[axis - 1]++;
        }
    }
}

static void gather(const strided *array, ptrdiff_t first, ptrdiff_t count, real *to)
{
    walk(GATHER, array, first, count, to);
}

static void scatter(const strided *array, ptrdiff_t first, ptrdiff_t count, const real *from)
{
    walk(SCATTER, array, first, count, (real *)from); /* a scatter only reads its row */
}

const strided_primitives NAME(strided) = {.gather = gather, .scatter = scatter};
