/* What the checks share. They are compiled once for each dtype, with the names of real.h; `tested` is the table of the
 * instruction set in turn, `generic` the portable one. Most checks compare with the definition of a primitive, on
 * integers so small that sums are exact whatever their order; the others compare with the portable primitive. */
#ifndef CHECKASM_H
#define CHECKASM_H

#include "harness.h"
#include "primitives.h"

#include <math.h>
#include <string.h>

#define tested NAME(tested)
#define generic NAME(generic)
#define exact NAME(exact)
#define some_view NAME(some_view)
#define some_windows NAME(some_windows)
#define windows_of NAME(windows_of)
#define look_at NAME(look_at)
extern const primitives *tested, *generic, *exact; /* exact: the portable primitives of float64 */

/* A member of a table that is called; one that is read. */
#define CALL(table, member)                                                                                            \
    (visit(offsetof(primitives, table), sizeof *tested->table, offsetof(__typeof__(*tested->table), member),           \
           #table "." #member),                                                                                        \
     tested->table->member)
#define VALUE(table, member) CALL(table, member)
/* Tables of tables of the two sizes of Winograd's transforms. */
#define FORM(form, member) (CALL(winograd, member), tested->winograd[form].member)

enum { MOST_LANES = 16 };
static const element_kind KIND = REAL_BITS == 32 ? FLOAT32 : FLOAT64;
static const double EPS = REAL_BITS == 32 ? 0x1p-23 : 0x1p-52;
static const ptrdiff_t SIZE = sizeof(number);
static inline ptrdiff_t lanes(void) { return tested->lanes; }

/* Most often none to three vectors and one more, sometimes a long row: these begin with part of a vector. */
static inline ptrdiff_t some_count(ptrdiff_t least)
{
    return one_in(4) ? between(least, 20 * lanes() + 7) : between(least, 3 * lanes() + 1);
}

static inline ptrdiff_t up_to(ptrdiff_t x, ptrdiff_t whole) { return (x + whole - 1) / whole * whole; }

/* ---- Arrays of numbers: at any address, but scratch, which lies where its numbers want to ------------------------ */

static inline real *nothing(ptrdiff_t count, array_role role)
{
    return claim(count, SIZE, KIND, role, role == SCRATCH ? (ptrdiff_t)sizeof(double) : 1);
}
static inline real *results(ptrdiff_t count) { return nothing(count, RESULT); }
static inline real *scratch(ptrdiff_t count) { return nothing(count, SCRATCH); }

static inline void put_number(real *p, double value) { *p = *want(p) = (number)value; }

static inline real *integers(ptrdiff_t count, array_role role)
{
    real *const x = nothing(count, role);
    for (ptrdiff_t i = 0; i < count; i++)
        put_number(x + i, (double)between(-3, 3));
    return x;
}

static inline real *numbers(ptrdiff_t count, double low, double high, array_role role)
{
    real *const x = nothing(count, role);
    for (ptrdiff_t i = 0; i < count; i++)
        put_number(x + i, uniform(low, high));
    return x;
}

static inline double *doubles(ptrdiff_t count, ptrdiff_t low, ptrdiff_t high, array_role role)
{
    double *const x = claim(count, sizeof *x, FLOAT64, role, sizeof *x);
    for (ptrdiff_t i = 0; i < count; i++)
        x[i] = want(x)[i] = (double)between(low, high);
    return x;
}

static inline int32_t *places(ptrdiff_t count, ptrdiff_t low, ptrdiff_t high, array_role role)
{
    int32_t *const x = claim(count, sizeof *x, OTHER, role, sizeof *x);
    for (ptrdiff_t i = 0; i < count; i++)
        x[i] = want(x)[i] = (int32_t)between(low, high);
    return x;
}

/* What a contract leaves open is taken over as it is. */
static inline void leave_open(const real *p, ptrdiff_t count) { memcpy((void *)want(p), p, (size_t)(count * SIZE)); }

static inline void leave_doubles_open(const double *p, ptrdiff_t count)
{
    memcpy((void *)want(p), p, (size_t)count * sizeof *p);
}

/* ---- Arrays of any strides --------------------------------------------------------------------------------------- */

enum { AXES = 4 };
enum {
    GAPS = 1,   /* between elements */
    BACK = 2,   /* negative strides */
    STILL = 4,  /* strides of 0, and others for which elements overlap */
    TURNED = 8, /* axes in any order in memory */
    ODD = 16,   /* strides that are not multiples of a number */
    ANY_STRIDES = GAPS | BACK | STILL | TURNED | ODD,
    ANY_RESULT = GAPS | BACK | TURNED | ODD,
    CLOSE = 32, /* the last axis is contiguous */
    BYTES = 64, /* of bytes, not numbers */
};

typedef struct {
    char *data;
    int axes;
    ptrdiff_t shape[AXES], strides[AXES];
} view;

view some_view(int axes, const ptrdiff_t *shape, int layout, array_role role);
#define VIEW(layout, role, ...)                                                                                        \
    some_view((int)(sizeof (ptrdiff_t[]){__VA_ARGS__} / sizeof(ptrdiff_t)), (ptrdiff_t[]){__VA_ARGS__}, layout, role)

static inline real *element(const view *v, const ptrdiff_t *index)
{
    char *p = v->data;
    for (int a = 0; a < v->axes; a++)
        p += index[a] * v->strides[a];
    return (real *)p;
}
#define AT(v, ...) element(&(v), (ptrdiff_t[AXES]){__VA_ARGS__})

/* ---- Windows ----------------------------------------------------------------------------------------------------- */

/* Of one axis. blind: windows may see nothing of the image. */
typedef struct {
    ptrdiff_t size, kernel, stride, dilation, before, after, count;
} axis_windows;
axis_windows some_windows(ptrdiff_t most_size, ptrdiff_t most_kernel, ptrdiff_t most_stride, ptrdiff_t most_dilation,
                          ptrdiff_t least_pad, ptrdiff_t most_pad, int blind);
windows windows_of(axis_windows rows, axis_windows columns);
void look_at(windows *g, const view *images); /* axes n, c, h, w */
static inline int is_inside(const windows *g, ptrdiff_t i, ptrdiff_t j)
{
    return i >= 0 && i < g->h && j >= 0 && j < g->w;
}

#endif
