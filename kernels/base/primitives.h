/* The table of primitives: one for each (ISA, dtype), chosen once at import.
 *
 * Inside this folder `real` is float or double. Outside, where one driver serves both dtypes, it is void: the driver
 * moves pointers by `itemsize` and never looks behind them.
 *
 * What holds where a contract says nothing else: numbers lie at any address, and strides are of any sign and may be 0, that
 * of a result so that its elements do not overlap. Other types and scratch lie where their type needs to. Counts may be 0.
 * Nothing is read or written but the elements that the contract names; tests/checkasm holds every primitive to that. */
#ifndef NPK_PRIMITIVES_H
#define NPK_PRIMITIVES_H

#include <stddef.h>
#ifdef REAL_BITS
#include "real.h"
#else
typedef void real;
#endif

#include "activation.h"
#include "adaptive.h"
#include "attention.h"
#include "channelwise.h"
#include "cluster.h"
#include "conv.h"
#include "depthwise.h"
#include "distance.h"
#include "flat.h"
#include "gram.h"
#include "dropout.h"
#include "embedding.h"
#include "loss.h"
#include "neighbours.h"
#include "norm.h"
#include "optim.h"
#include "pack.h"
#include "pairs.h"
#include "pairwise.h"
#include "pool.h"
#include "recurrent.h"
#include "resample.h"
#include "grid.h"
#include "rows.h"
#include "softmax.h"
#include "strided.h"
#include "tile.h"
#include "winograd.h"

typedef struct {
    ptrdiff_t itemsize, lanes;
    void (*fence)(void); /* what was written past the caches is in memory, where other threads see it */
    const tile_primitives *tile;
    const pack_primitives *pack;
    const activation_primitives *activation;
    const attention_primitives *attention;
    const embedding_primitives *embedding;
    const channelwise_primitives *channelwise;
    const cluster_primitives *cluster;
    const distance_primitives *distance;
    const neighbour_primitives *neighbours;
    const pairwise_primitives *pairwise;
    const gram_primitives *gram;
    const conv_primitives *conv;
    const flat_primitives *flat;
    const depthwise_primitives *depthwise;
    const winograd_primitives *winograd; /* of 3x3 and of 5x5 kernels */
    const row_primitives *rows;
    const softmax_primitives *softmax;
    const pair_primitives *pairs;
    const strided_primitives *strided;
    const optim_primitives *optim;
    const loss_primitives *loss;
    const norm_primitives *norm;
    const row_norm_primitives *row_norm;
    const dropout_primitives *dropout;
    const pool_primitives *pool;
    const pool_index_primitives *pool_indices;
    const pool_backward_primitives *pool_backward;
    const narrow_pool_primitives *narrow_pool;
    const adaptive_primitives *adaptive;
    const recurrent_primitives *recurrent;
    const resample_primitives *resample;
    const grid_primitives *grid;
    const grid_gradient_primitives *grid_gradient;
} primitives;

#ifndef REAL_BITS
/* NULL where this build does not hold that ISA; isa as in cpu.h, bits 32 or 64. */
const primitives *primitives_of(int isa, int bits);
#endif

#endif
