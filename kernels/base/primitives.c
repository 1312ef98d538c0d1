#include "primitives.h"

extern const tile_primitives NAME(tile);
extern const pack_primitives NAME(pack);
extern const activation_primitives NAME(activation);
extern const attention_primitives NAME(attention);
extern const embedding_primitives NAME(embedding);
extern const channelwise_primitives NAME(channelwise);
extern const cluster_primitives NAME(cluster);
extern const distance_primitives NAME(distance);
extern const neighbour_primitives NAME(neighbours);
extern const pairwise_primitives NAME(pairwise);
extern const gram_primitives NAME(gram);
extern const conv_primitives NAME(conv);
extern const flat_primitives NAME(flat);
extern const depthwise_primitives NAME(depthwise);
extern const winograd_primitives NAME(winograd)[2];
extern const row_primitives NAME(rows);
extern const softmax_primitives NAME(softmax);
extern const pair_primitives NAME(pairs);
extern const strided_primitives NAME(strided);
extern const optim_primitives NAME(optim);
extern const loss_primitives NAME(loss);
extern const norm_primitives NAME(norm);
extern const row_norm_primitives NAME(row_norm);
extern const dropout_primitives NAME(dropout);
extern const pool_primitives NAME(pool);
extern const pool_index_primitives NAME(pool_indices);
extern const pool_backward_primitives NAME(pool_backward);
extern const narrow_pool_primitives NAME(narrow_pool);
extern const adaptive_primitives NAME(adaptive);
extern const recurrent_primitives NAME(recurrent);
extern const resample_primitives NAME(resample);
extern const grid_primitives NAME(grid);
extern const grid_gradient_primitives NAME(grid_gradient);

static void fence(void) { vstream_fence(); }

const primitives NAME(primitives) = {
    .itemsize = sizeof(number),
    .lanes = LANES,
    .fence = fence,
    .tile = &NAME(tile),
    .pack = &NAME(pack),
    .activation = &NAME(activation),
    .attention = &NAME(attention),
    .embedding = &NAME(embedding),
    .channelwise = &NAME(channelwise),
    .cluster = &NAME(cluster),
    .distance = &NAME(distance),
    .neighbours = &NAME(neighbours),
    .pairwise = &NAME(pairwise),
    .gram = &NAME(gram),
    .conv = &NAME(conv),
    .flat = &NAME(flat),
    .depthwise = &NAME(depthwise),
    .winograd = NAME(winograd),
    .rows = &NAME(rows),
    .softmax = &NAME(softmax),
    .pairs = &NAME(pairs),
    .strided = &NAME(strided),
    .optim = &NAME(optim),
    .loss = &NAME(loss),
    .norm = &NAME(norm),
    .row_norm = &NAME(row_norm),
    .dropout = &NAME(dropout),
    .pool = &NAME(pool),
    .pool_indices = &NAME(pool_indices),
    .pool_backward = &NAME(pool_backward),
    .narrow_pool = &NAME(narrow_pool),
    .adaptive = &NAME(adaptive),
    .recurrent = &NAME(recurrent),
    .resample = &NAME(resample),
    .grid = &NAME(grid),
    .grid_gradient = &NAME(grid_gradient),
};
