/* All checks: of one random case each, in the file of their topic. */
#ifndef CHECKASM_CHECKS_H
#define CHECKASM_CHECKS_H

#define CHECKS(_)                                                                                                      \
    _(table) _(tiles) _(runs) _(taps) _(lines) _(row_runs) _(row_lines) _(thin) _(dots)                                \
    _(panel) _(chained_panel) _(panels) _(rows) _(scatter) _(turn) _(transpose)                                        \
    _(patch_block) _(patch_rows) _(patch_sums) _(fill) _(flat_store)                                                   \
    _(depthwise_forward) _(depthwise_image_gradient) _(depthwise_weight_lanes) _(sum_lanes)                            \
    _(pixels_forward) _(pixels_image_gradient) _(pixels_weights)                                                       \
    _(winograd_kernels) _(winograd_input) _(winograd_gradient) _(winograd_output) _(winograd_weights)                  \
    _(winograd_store) _(winograd_even) _(winograd_even_kernels) _(winograd_extents)                                    \
    _(centre) _(nearest) _(squared_distances) _(add_samples) _(add_weights)                                            \
    _(distances) _(lower) _(draw) _(roots) _(gram_centre) _(gram_add)                                                  \
    _(middle) _(deviation) _(tiles_of_rows) _(panel_of_rows) _(search) _(all_distances) _(group_sums)                  \
    _(strided_gather) _(strided_scatter) _(strided_bytes) _(row_sum) _(row_means) _(row_maxima)                        \
    _(row_add)                                                                                                         \
    _(add_to_doubles) _(narrow)                                                                                        \
    _(rows_softmax) _(rows_log_softmax) _(lanes_softmax) _(lanes_log_softmax)                                          \
    _(row_softmax_backward) _(row_log_softmax_backward) _(lanes_softmax_backward) _(lanes_log_softmax_backward)        \
    _(margins) _(gaussian_kl) _(pair_dots) _(difference) _(combine)                                                    \
    _(row_cross_entropy) _(lanes_cross_entropy) _(row_base) _(lanes_base)                                              \
    _(activation_forward) _(activation_backward) _(activation_from_output) _(glu) _(dropout_draw) _(dropout_apply)     \
    _(losses) _(steps) _(squares) _(scale)                                                                             \
    _(moments) _(gradient_sums) _(norm_rows) _(norm_gradient_rows) _(norm_columns) _(norm_row)                         \
    _(column_moments) _(column_gradient_sums) _(norm_finish) _(norm_finish_gradient) _(plane_gradient_sums)            \
    _(channelwise_forward) _(channelwise_backward) _(maxout)                                                           \
    _(max_rows) _(mean_rows) _(max_planes) _(mean_planes) _(index_planes) _(index_rows) _(gather)                      \
    _(pool_scatter) _(mean_backward) _(spread) _(max_lanes) _(mean_lanes) _(index_lanes) _(to_integers)                \
    _(mean_backward_lanes)                                                                                             \
    _(adaptive_fold) _(adaptive_fold_places) _(adaptive_along) _(adaptive_along_places) _(narrow_places)               \
    _(shares) _(spread_runs)                                                                                           \
    _(lstm) _(gru) _(rnn) _(lstm_backward) _(gru_backward) _(rnn_backward) _(row_panel)                                \
    _(resample_image) _(resample_plane) _(grid_forward) _(grid_places) _(grid_image) _(grid_turn) _(grid_affine)       \
    _(attention_scale) _(attention_mask) _(attention_bounds) _(attention_weights) _(attention_rescale)                 \
    _(attention_merge) _(attention_finish) _(attention_row_weights) _(attention_lane_dots) _(attention_gradient)       \
    _(attention_weighted) _(attention_finite) _(gather_rows)

#endif
