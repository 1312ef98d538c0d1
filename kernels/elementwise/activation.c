#include "parts.h"
#include "primitives.h"

#include "activation_exp.h"
#include "activation_linear.h"
#include "activation_output.h"

/* Every activation is two functions of a vector, the value and the gradient dx = dy f'(x), which stand in the headers
 * above by kind; c are the parameters. Here they become loops over rows and the tables of those. */

typedef vreal (*value_fn)(vreal x, const double *c);
typedef vreal (*gradient_fn)(vreal dy, vreal x, const double *c);

/* A copy, which no store to a row can change. */
INLINE activation_options taken(const activation_options *options, activation_options defaults)
{
    return options != NULL ? *options : defaults;
}

INLINE void fetch(const real *p, int streamed)
{
    if (streamed)
        prefetch_far(p);
    else
        prefetch_ahead(p);
}

INLINE void forward_row(value_fn f, ptrdiff_t count, const real *x, real *y, activation_options o)
{
    assert(count >= 0 && (!o.streamed || x != y));
    ptrdiff_t i = to_boundary(count, y);
    const int streamed = may_stream(o.streamed, y + i);
    if (i > 0)
        vstore_part(y, f(vload_part(x, i), o.parameters), i);
    for (; i + LANES <= count; i += LANES) {
        fetch(x + i, streamed);
        put(y + i, f(vload(x + i), o.parameters), streamed);
    }
    if (i < count)
        vstore_part(y + i, f(vload_part(x + i, count - i), o.parameters), count - i);
    if (streamed)
        vstream_fence();
}

INLINE void backward_row(gradient_fn f, ptrdiff_t count, const real *dy, const real *x, real *dx, activation_options o)
{
    assert(count >= 0 && (!o.streamed || (dy != dx && x != dx)));
    ptrdiff_t i = to_boundary(count, dx);
    const int streamed = may_stream(o.streamed, dx + i);
    if (i > 0)
        vstore_part(dx, f(vload_part(dy, i), vload_part(x, i), o.parameters), i);
    for (; i + LANES <= count; i += LANES) {
        fetch(dy + i, streamed);
        fetch(x + i, streamed);
        put(dx + i, f(vload(dy + i), vload(x + i), o.parameters), streamed);
    }
    if (i < count)
        vstore_part(dx + i, f(vload_part(dy + i, count - i), vload_part(x + i, count - i), o.parameters), count - i);
    if (streamed)
        vstream_fence();
}

#define ROWS(name, ...)                                                                                                \
    static void name##_forward(ptrdiff_t count, const real *x, real *y, const activation_options *options)             \
    {                                                                                                                  \
        forward_row(name##_value, count, x, y, taken(options, (activation_options){.parameters = {__VA_ARGS__}}));     \
    }                                                                                                                  \
    static void name##_backward(ptrdiff_t count, const real *dy, const real *x, real *dx,                              \
                                const activation_options *options)                                                     \
    {                                                                                                                  \
        backward_row(name##_gradient, count, dy, x, dx,                                                                \
                     taken(options, (activation_options){.parameters = {__VA_ARGS__}}));                               \
    }
ACTIVATIONS(ROWS)

#define OUTPUT_ROWS(name, ...)                                                                                         \
    static void name##_from_output(ptrdiff_t count, const real *dy, const real *y, real *dx,                           \
                                   const activation_options *options)                                                  \
    {                                                                                                                  \
        backward_row(name##_output, count, dy, y, dx,                                                                  \
                     taken(options, (activation_options){.parameters = {__VA_ARGS__}}));                               \
    }
OUTPUT_ACTIVATIONS(OUTPUT_ROWS)

#define FORWARD(name, ...) name##_forward,
#define BACKWARD(name, ...) name##_backward,
static const activation_fn forward[] = {ACTIVATIONS(FORWARD)};
static const activation_gradient_fn backward[] = {ACTIVATIONS(BACKWARD)};
#define FROM_OUTPUT(name, ...) [ACTIVATION_##name] = name##_from_output,
static const activation_gradient_fn from_output[ACTIVATION_COUNT] = {OUTPUT_ACTIVATIONS(FROM_OUTPUT)};

static void glu(ptrdiff_t count, const real *a, const real *b, real *y)
{
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        const ptrdiff_t some = count - i;
        store_some(y + i, load_some(a + i, some) * sigmoid_value(load_some(b + i, some), NULL), some);
    }
}

static void glu_backward(ptrdiff_t count, const real *dy, const real *a, const real *b, real *da, real *db)
{
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        const ptrdiff_t some = count - i;
        const vreal d = load_some(dy + i, some), gate = load_some(b + i, some), x = load_some(a + i, some);
        store_some(da + i, d * sigmoid_value(gate, NULL), some);
        store_some(db + i, sigmoid_gradient(d, gate, NULL) * x, some);
    }
}

const activation_primitives NAME(activation) = {
    .forward = forward,
    .backward = backward,
    .from_output = from_output,
    .glu = glu,
    .glu_backward = glu_backward,
};
