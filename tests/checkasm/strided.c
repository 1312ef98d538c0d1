/* Arrays of any strides, element by element; and rows. */
#include "checkasm.h"

typedef struct {
    strided array;
    view x;
    ptrdiff_t count, first, some; /* elements, and a part of them */
} part;

static part some_part(int layout, array_role role)
{
    part v = {.count = 1};
    ptrdiff_t shape[AXES];
    const int axes = (int)between(1, AXES);
    for (int a = 0; a < axes; a++)
        v.count *= shape[a] = between(1, a == axes - 1 ? 20 : 4);
    v.x = some_view(axes, shape, layout, role);
    v.array.data = v.x.data, v.array.axes = axes;
    memcpy(v.array.shape, v.x.shape, sizeof v.x.shape);
    memcpy(v.array.strides, v.x.strides, sizeof v.x.strides);
    v.first = between(0, v.count), v.some = between(0, v.count - v.first);
    return v;
}

static char *at(const part *v, ptrdiff_t element)
{
    char *p = v->x.data;
    for (int a = v->x.axes - 1; a >= 0; a--, element /= v->x.shape[a + 1])
        p += element % v->x.shape[a] * v->x.strides[a];
    return p;
}

void NAME(check_strided_gather)(void)
{
    const part v = some_part(ANY_STRIDES, INPUT);
    real *const to = results(v.some);
    for (ptrdiff_t i = 0; i < v.some; i++)
        want(to)[i] = *(real *)at(&v, v.first + i);
    CALL(strided, gather)(&v.array, v.first, v.some, to);
    verify();
}

void NAME(check_strided_scatter)(void)
{
    const part v = some_part(ANY_RESULT, RESULT);
    real *const from = integers(v.some, INPUT);
    for (ptrdiff_t i = 0; i < v.some; i++)
        *want((real *)at(&v, v.first + i)) = from[i];
    CALL(strided, scatter)(&v.array, v.first, v.some, from);
    verify();
}

void NAME(check_strided_bytes)(void)
{
    const part v = some_part((ANY_STRIDES & ~ODD) | BYTES, INPUT);
    uint8_t *const to = claim(v.some, 1, OTHER, RESULT, 1);
    for (ptrdiff_t i = 0; i < v.some; i++)
        want(to)[i] = (uint8_t)*at(&v, v.first + i);
    CALL(strided, gather_bytes)(&v.array, v.first, v.some, to);
    verify();
}

void NAME(check_row_sum)(void)
{
    const ptrdiff_t count = some_count(0);
    real *const x = integers(count, INPUT);
    double sum = 0;
    for (ptrdiff_t i = 0; i < count; i++)
        sum += x[i];
    same(CALL(rows, sum)(count, x), sum, FLOAT64);
    verify();
}

void NAME(check_row_means)(void)
{
    const ptrdiff_t rows = between(0, 9), count = some_count(1);
    const view x = VIEW(GAPS | BACK | STILL | ODD | CLOSE, INPUT, rows, count);
    real *const y = results(rows);
    for (ptrdiff_t r = 0; r < rows; r++) {
        double sum = 0;
        for (ptrdiff_t i = 0; i < count; i++)
            sum += *AT(x, r, i);
        want(y)[r] = (number)(sum / (double)count);
    }
    CALL(rows, means)(rows, count, (real *)x.data, x.strides[0], y);
    verify();
}

void NAME(check_row_maxima)(void)
{
    const ptrdiff_t rows = between(0, 40), count = some_count(1);
    const view x = VIEW(GAPS | BACK | STILL | ODD | CLOSE, INPUT, rows, count);
    real *const y = results(rows);
    for (ptrdiff_t r = 0; r < rows; r++) {
        want(y)[r] = *AT(x, r, 0);
        for (ptrdiff_t i = 1; i < count; i++)
            want(y)[r] = *AT(x, r, i) > want(y)[r] ? *AT(x, r, i) : want(y)[r];
    }
    CALL(rows, maxima)(rows, count, (real *)x.data, x.strides[0], y);
    verify();
}

void NAME(check_row_add)(void)
{
    const ptrdiff_t count = some_count(0);
    real *const x = integers(count, INPUT), *const sum = integers(count, RESULT);
    for (ptrdiff_t i = 0; i < count; i++)
        want(sum)[i] += x[i];
    CALL(rows, add)(count, x, sum);
    verify();
}

void NAME(check_add_to_doubles)(void)
{
    const ptrdiff_t count = some_count(0);
    real *const x = integers(count, INPUT);
    double *const sums = doubles(count, -3, 3, RESULT);
    for (ptrdiff_t i = 0; i < count; i++)
        want(sums)[i] += x[i];
    CALL(rows, add_to_doubles)(count, x, sums);
    verify();
}

void NAME(check_narrow)(void)
{
    const ptrdiff_t count = some_count(0);
    double *const x = doubles(count, -3, 3, INPUT);
    real *const y = results(count);
    for (ptrdiff_t i = 0; i < count; i++)
        want(y)[i] = (number)x[i];
    CALL(rows, narrow)(count, x, y);
    verify();
}
