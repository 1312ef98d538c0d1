#include "parts.h"
#include "primitives.h"

/* A vector of the parameters, their gradient and the states of the optimiser. */
typedef struct {
    vreal p, g, first, second;
} step_lanes;

/* The settings in the number type. */
typedef struct {
    number lr, weight_decay, eps, first, first_rest, second, second_rest, root_scale, decay_step;
    int nesterov;
} numbers;

/* g' = g + weight_decay p; without weight decay g' is g, also where p is infinite. */
INLINE vreal decayed(const step_lanes *v, const numbers *c)
{
    return c->weight_decay != 0 ? vfma(vsplat(c->weight_decay), v->p, v->g) : v->g;
}

/* p -= lr g' */
INLINE void sgd_vector(step_lanes *v, const numbers *c) { v->p = vfnma(vsplat(c->lr), decayed(v, c), v->p); }

/* velocity = momentum velocity + g'; p -= lr velocity, or by Nesterov lr (g' + momentum velocity). Sutskever et al., "On
 * the importance of initialization and momentum in deep learning", ICML 2013, in the form of torch.optim.SGD. */
INLINE void momentum_vector(step_lanes *v, const numbers *c)
{
    const vreal g = decayed(v, c);
    v->first = vfma(vsplat(c->first), v->first, g);
    v->p = vfnma(vsplat(c->lr), c->nesterov ? vfma(vsplat(c->first), v->first, g) : v->first, v->p);
}

/* sum_sq += g'^2; p -= lr g' / (sqrt(sum_sq) + eps). Duchi, Hazan, Singer, "Adaptive subgradient methods", JMLR 2011. */
INLINE void adagrad_vector(step_lanes *v, const numbers *c)
{
    const vreal g = decayed(v, c);
    v->first = vfma(g, g, v->first);
    v->p = vfnma(vsplat(c->lr), g / (vsqrt(v->first) + c->eps), v->p);
}

/* mean_sq = alpha mean_sq + (1 - alpha) g'^2; p -= lr g' / (sqrt(mean_sq) + eps). Tieleman and Hinton, 2012. */
INLINE void rmsprop_vector(step_lanes *v, const numbers *c)
{
    const vreal g = decayed(v, c);
    v->first = vfma(vsplat(c->first), v->first, c->first_rest * (g * g));
    v->p = vfnma(vsplat(c->lr), g / (vsqrt(v->first) + c->eps), v->p);
}

/* m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2, both divided by 1 - beta^step;
 * p -= lr m / (sqrt(v) + eps). Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015. */
INLINE void moments_vector(step_lanes *v, vreal g, const numbers *c)
{
    v->first = vfma(vsplat(c->first), v->first, c->first_rest * g);
    v->second = vfma(vsplat(c->second), v->second, c->second_rest * (g * g));
    v->p = vfnma(vsplat(c->lr), v->first / vfma(vsqrt(v->second), vsplat(c->root_scale), vsplat(c->eps)), v->p);
}

/* with g' */
INLINE void adam_vector(step_lanes *v, const numbers *c) { moments_vector(v, decayed(v, c), c); }

/* p -= lr weight_decay p before, and g. Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019. */
INLINE void adamw_vector(step_lanes *v, const numbers *c)
{
    if (c->weight_decay != 0)
        v->p = vfnma(v->p, vsplat(c->decay_step), v->p);
    moments_vector(v, v->g, c);
}

typedef void (*vector_fn)(step_lanes *v, const numbers *c);

INLINE numbers numbers_of(const optim_settings *s)
{
    return (numbers){
        .lr = (number)(s->lr * s->m_scale),
        .weight_decay = (number)s->weight_decay,
        .eps = (number)s->eps,
        .first = (number)s->first,
        .first_rest = (number)(1 - s->first),
        .second = (number)s->second,
        .second_rest = (number)(1 - s->second),
        .root_scale = (number)s->root_scale,
        .decay_step = (number)(s->lr * s->weight_decay),
        .nesterov = s->nesterov,
    };
}

INLINE void step_at(vector_fn f, const int states, ptrdiff_t count, real *p, const real *g, real *first, real *second,
                    const numbers *c)
{
    step_lanes v = {.p = load_some(p, count), .g = load_some(g, count)};
    if (states > 0)
        v.first = load_some(first, count);
    if (states > 1)
        v.second = load_some(second, count);
    f(&v, c);
    store_some(p, v.p, count);
    if (states > 0)
        store_some(first, v.first, count);
    if (states > 1)
        store_some(second, v.second, count);
}

/* Long rows start with the part of a vector that brings p, and most often the other arrays, to a boundary: a vector across
 * two lines of the cache costs two (20 % of Adam). */
INLINE void row(vector_fn f, const int states, ptrdiff_t count, real *p, const real *g, real *first, real *second,
                const optim_settings *s)
{
    assert(count >= 0 && (states < 1 || first != NULL) && (states < 2 || second != NULL));
    const numbers c = numbers_of(s);
    ptrdiff_t i = count < 16 * LANES ? 0 : (ptrdiff_t)(-(uintptr_t)p % VECTOR_BYTES / sizeof(number));
    if (i > 0)
        step_at(f, states, i, p, g, first, second, &c);
    for (; i + LANES <= count; i += LANES) {
        if (states > 1) { /* with four arrays the hardware's own falls behind: Adam from memory 3.9 to 3.5 ms */
            prefetch_far(p + i);
            prefetch_far(g + i);
            prefetch_far(first + i);
            prefetch_far(second + i);
        }
        step_at(f, states, LANES, p + i, g + i, first + i, second + i, &c);
    }
    if (i < count)
        step_at(f, states, count - i, p + i, g + i, first + i, second + i, &c);
}

#define STEP(name, states)                                                                                             \
    static void name(ptrdiff_t count, real *p, const real *g, real *first, real *second, const optim_settings *s)      \
    {                                                                                                                  \
        row(name##_vector, states, count, p, g, first, second, s);                                                     \
    }
OPTIMISERS(STEP)

#define ENTRY(name, states) name,
static const optim_fn steps[] = {OPTIMISERS(ENTRY)};

enum { CHAINS = 4 };

static double squares(ptrdiff_t count, const real *x, double scale)
{
    const number factor = (number)scale;
    vdouble_sum sum[CHAINS] = {0};
    ptrdiff_t i = 0;
    for (; i + CHAINS * LANES <= count; i += CHAINS * LANES)
        UNROLL for (int c = 0; c < CHAINS; c++) add_square_to(&sum[c], vload(x + i + c * LANES) * factor);
    for (; i < count; i += LANES)
        add_square_to(&sum[0], load_or(x + i, count - i, 0) * factor);
    return total_of(sum, CHAINS);
}

static void scale(ptrdiff_t count, real *x, double factor)
{
    const number by = (number)factor;
    for (ptrdiff_t i = 0; i < count; i += LANES)
        store_some(x + i, load_some(x + i, count - i) * by, count - i);
}

const optim_primitives NAME(optim) = {.steps = steps, .squares = squares, .scale = scale};
