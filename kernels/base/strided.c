#include "parts.h"
#include "primitives.h"

enum { GATHER, SCATTER, GATHER_BYTES };
enum { SHORT_RUN = 8 * LANES }; /* copied by vectors: the call of memcpy costs as much */

/* One run along the innermost axis. */
INLINE void copy_run(const int direction, char *at, ptrdiff_t stride, ptrdiff_t count, char *row)
{
    const ptrdiff_t size = direction == GATHER_BYTES ? 1 : sizeof(number);
    if (stride == size && direction != GATHER_BYTES && count <= SHORT_RUN) {
        copy_row(count, (const real *)(direction == GATHER ? at : row), (real *)(direction == GATHER ? row : at));
    } else if (stride == size) {
        memcpy(direction == SCATTER ? at : row, direction == SCATTER ? row : at, (size_t)(count * size));
    } else if (direction == GATHER) {
        for (ptrdiff_t i = 0; i < count; i++)
            ((real *)row)[i] = *(const real *)(at + i * stride);
    } else if (direction == GATHER_BYTES) {
        for (ptrdiff_t i = 0; i < count; i++)
            row[i] = at[i * stride];
    } else {
        for (ptrdiff_t i = 0; i < count; i++)
            *(real *)(at + i * stride) = ((const real *)row)[i];
    }
}

/* An odometer over the axes, whose innermost wheel turns a run at a time. */
INLINE void walk(const int direction, const strided *array, ptrdiff_t first, ptrdiff_t count, char *row)
{
    assert(array->axes >= 1 && array->axes <= STRIDED_AXES && first >= 0 && count >= 0);
    const int inner = array->axes - 1;
    const ptrdiff_t *const shape = array->shape, *const strides = array->strides;
    ptrdiff_t index[STRIDED_AXES];
    char *at = array->data;
    for (int axis = inner; axis >= 0 && count > 0; axis--) {
        index[axis] = first % shape[axis];
        first /= shape[axis];
        at += index[axis] * strides[axis];
    }
    assert(count == 0 || first == 0); /* it lay in the array */
    while (count > 0) {
        const ptrdiff_t run = min_size(count, shape[inner] - index[inner]);
        copy_run(direction, at, strides[inner], run, row);
        row += run * (direction == GATHER_BYTES ? 1 : (ptrdiff_t)sizeof(number));
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
    walk(GATHER, array, first, count, (char *)to);
}

static void scatter(const strided *array, ptrdiff_t first, ptrdiff_t count, const real *from)
{
    walk(SCATTER, array, first, count, (char *)from); /* a scatter only reads its row */
}

static void gather_bytes(const strided *array, ptrdiff_t first, ptrdiff_t count, uint8_t *to)
{
    walk(GATHER_BYTES, array, first, count, (char *)to);
}

const strided_primitives NAME(strided) = {.gather = gather, .scatter = scatter, .gather_bytes = gather_bytes};
