# The table of primitives as Cython sees it; declarations only. The contracts stand in kernels/*/*.h.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from npkernels._kernels.axis cimport interval


cdef extern from "primitives.h" nogil:
    enum:
        START_ZERO
        START_C
        START_ROW_BIAS
        START_COLUMN_BIAS
        ADD_TO_C
        BLOCK_PANELS
    Py_ssize_t panel_count(Py_ssize_t vectors, Py_ssize_t widest)
    Py_ssize_t panel_start(Py_ssize_t vectors, Py_ssize_t panels, Py_ssize_t q)
    ctypedef void (*tile_fn)(Py_ssize_t k, const void* a, Py_ssize_t a_row, Py_ssize_t a_step, const void* b,
                             Py_ssize_t b_stride, void* c, Py_ssize_t c_stride, Py_ssize_t columns, int start,
                             const void* bias) noexcept nogil
    ctypedef void (*tile_runs_fn)(Py_ssize_t k, const void* a, Py_ssize_t a_stride, const void* b,
                                  const Py_ssize_t* runs, void* c, Py_ssize_t c_stride, Py_ssize_t columns, int start,
                                  const void* bias) noexcept nogil
    ctypedef struct window_taps:
        Py_ssize_t channels, group, count, a_group, b_group
        const Py_ssize_t* places
        const Py_ssize_t* lines
    ctypedef void (*tile_taps_fn)(const window_taps* taps, const void* a, Py_ssize_t a_row, const void* b, void* c,
                                  Py_ssize_t c_stride, int start, const void* bias) noexcept nogil
    ctypedef struct picture_pixels:
        Py_ssize_t pictures, lines, width, a_picture, a_line, a_column, b_picture, b_line, b_column
    ctypedef void (*tile_lines_fn)(const picture_pixels* pixels, const void* a, const Py_ssize_t* runs, const void* b, void* c,
                                   Py_ssize_t c_stride, Py_ssize_t columns, int start) noexcept nogil
    ctypedef void (*row_runs_fn)(Py_ssize_t k, const void* a, const void* b, const Py_ssize_t* runs, void* c,
                                 Py_ssize_t columns, int start, const void* bias) noexcept nogil
    ctypedef struct tile_primitives:
        Py_ssize_t rows, vectors
        const tile_fn* tiles
        const tile_runs_fn* runs
        const tile_taps_fn* taps
        const tile_lines_fn* lines
        row_runs_fn row_runs
        tile_fn row_lines
        const tile_fn* thin
        const tile_fn* dots
        Py_ssize_t dots_most, dots_rows

cdef extern from "primitives.h" nogil:
    ctypedef void (*pack_panel_fn)(Py_ssize_t k, Py_ssize_t columns, Py_ssize_t width, const char* x, Py_ssize_t k_stride,
                                   Py_ssize_t column_stride, void* panel) noexcept nogil
    ctypedef struct pack_primitives:
        pack_panel_fn panel, chained_panel
        void (*panels)(Py_ssize_t count, Py_ssize_t step, Py_ssize_t k, Py_ssize_t columns, Py_ssize_t width, const char* x,
                       Py_ssize_t k_stride, Py_ssize_t column_stride, void* panels) noexcept nogil
        void (*rows)(Py_ssize_t count, Py_ssize_t k, const char* x, Py_ssize_t row_stride, Py_ssize_t k_stride,
                     void* rows) noexcept nogil
        void (*scatter)(Py_ssize_t rows, Py_ssize_t columns, const void* x, Py_ssize_t x_stride, char* to,
                        Py_ssize_t row_stride, Py_ssize_t column_stride) noexcept nogil
        void (*turn)(Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t taps, const char* x, Py_ssize_t row_stride,
                     Py_ssize_t column_stride, const Py_ssize_t* offsets, void* to, Py_ssize_t row) noexcept nogil
        void (*transpose)(Py_ssize_t rows, Py_ssize_t columns, const void* x, Py_ssize_t x_stride, void* to,
                          Py_ssize_t to_stride) noexcept nogil

cdef extern from "primitives.h" nogil:
    enum:
        ACTIVATION_arsinh
        ACTIVATION_softplus
        ACTIVATION_COUNT
        ACTIVATION_PARAMETERS
    ctypedef struct activation_options:
        double parameters[ACTIVATION_PARAMETERS]
        int streamed
    # y[i] = f(x[i]); y may be x
    ctypedef void (*activation_fn)(Py_ssize_t count, const void* x, void* y, const activation_options* options) noexcept nogil
    # dx[i] = dy[i] f'(x[i]); dx may be dy or x
    ctypedef void (*activation_gradient_fn)(Py_ssize_t count, const void* dy, const void* x, void* dx,
                                            const activation_options* options) noexcept nogil
    const char* const activation_names[]
    ctypedef struct activation_primitives:
        const activation_fn* forward
        const activation_gradient_fn* backward
        const activation_gradient_fn* from_output
        void (*glu)(Py_ssize_t count, const void* a, const void* b, void* y) noexcept nogil
        void (*glu_backward)(Py_ssize_t count, const void* dy, const void* a, const void* b, void* da, void* db) noexcept nogil

cdef extern from "primitives.h" nogil:
    ctypedef struct attention_state:
        void* most
        void* sum
        void* o
    ctypedef struct attention_primitives:
        void (*scale)(Py_ssize_t count, double factor, void* x) noexcept nogil
        void (*mask)(Py_ssize_t keys, Py_ssize_t vectors, const void* added, const void* bounds, Py_ssize_t diagonal,
                     void* s) noexcept nogil
        void (*bounds)(Py_ssize_t keys, Py_ssize_t queries, Py_ssize_t vectors, const char* x, Py_ssize_t key_stride,
                       Py_ssize_t query_stride, void* bounds) noexcept nogil
        int (*weights)(Py_ssize_t keys, Py_ssize_t vectors, void* s, const attention_state* state, void* factor) noexcept nogil
        void (*rescale)(Py_ssize_t rows, Py_ssize_t vectors, const void* factor, void* o) noexcept nogil
        void (*merge)(Py_ssize_t rows, Py_ssize_t vectors, const attention_state* state,
                      const attention_state* other) noexcept nogil
        int (*finish)(Py_ssize_t rows, Py_ssize_t vectors, const attention_state* state) noexcept nogil
        double (*row_weights)(Py_ssize_t count, const char* added, const char* seen, Py_ssize_t stride, void* s, void* most,
                              void* sum) noexcept nogil
        void (*lane_dots)(Py_ssize_t rows, Py_ssize_t vectors, const void* a, const void* b, void* sums) noexcept nogil
        void (*gradient)(Py_ssize_t keys, Py_ssize_t vectors, const void* most, const void* less, void* s,
                         void* d) noexcept nogil
        void (*weighted)(int in_a, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t k, const void* a, Py_ssize_t a_row,
                         Py_ssize_t a_step, const void* b, Py_ssize_t b_stride, void* c, Py_ssize_t c_stride,
                         int start) noexcept nogil
        int (*finite)(Py_ssize_t rows, Py_ssize_t columns, const char* x, Py_ssize_t row_stride,
                      Py_ssize_t column_stride) noexcept nogil

cdef extern from "primitives.h" nogil:
    ctypedef struct embedding_primitives:
        void (*gather)(Py_ssize_t count, Py_ssize_t columns, const char* w, Py_ssize_t row_stride, const int64_t* rows,
                       int streamed, void* y) noexcept nogil

cdef extern from "primitives.h" nogil:
    enum:
        CHANNELWISE_PRELU
        CHANNELWISE_BRELU
        CHANNELWISE_SRELU
        CHANNELWISE_APL
    ctypedef struct channel_parameters:
        const void* parameters
        Py_ssize_t pitch
        int count, step
        double* sums
        Py_ssize_t sums_pitch
    ctypedef void (*channelwise_fn)(Py_ssize_t count, const void* x, void* y, const channel_parameters* c) noexcept nogil
    ctypedef void (*channelwise_gradient_fn)(Py_ssize_t count, const void* dy, const void* x, void* dx,
                                             const channel_parameters* c) noexcept nogil
    ctypedef struct channelwise_primitives:
        const channelwise_fn* forward
        const channelwise_gradient_fn* backward
        void (*maxout)(Py_ssize_t count, int piece, const void* x, void* best, int* which) noexcept nogil
        void (*maxout_backward)(Py_ssize_t count, int piece, const void* dy, const int* which, void* dx) noexcept nogil

cdef extern from "primitives.h" nogil:
    ctypedef struct cluster_primitives:
        int (*centre)(Py_ssize_t k, Py_ssize_t d, const void* centroids, const void* low, void* mean, void* scale,
                      void* packed, void* start) noexcept nogil
        int (*nearest)(Py_ssize_t count, Py_ssize_t following, Py_ssize_t d, Py_ssize_t k, const char* x,
                       Py_ssize_t row_stride, Py_ssize_t column_stride, const void* mean, const void* scale,
                       const void* packed, const void* start, void* scratch, int32_t* labels) noexcept nogil
        Py_ssize_t (*scratch_reals)(Py_ssize_t count, Py_ssize_t d) noexcept nogil
        void (*squared_distances)(Py_ssize_t count, Py_ssize_t d, const char* x, Py_ssize_t row_stride,
                                  const void* centroids, const void* low, const int32_t* labels,
                                  void* distances) noexcept nogil
        void (*add_samples)(Py_ssize_t count, Py_ssize_t d, const char* x, Py_ssize_t row_stride, const int32_t* labels,
                            const double* weights, double* sums, Py_ssize_t pitch) noexcept nogil
        void (*add_weights)(Py_ssize_t count, const int32_t* labels, const double* weights, const void* distances,
                            double* counts, double* inertia) noexcept nogil

cdef extern from "primitives.h" nogil:
    ctypedef struct distance_primitives:
        void (*pack)(Py_ssize_t k, Py_ssize_t d, const void* points, void* packed) noexcept nogil
        void (*distances)(Py_ssize_t count, Py_ssize_t d, Py_ssize_t k, const char* x, Py_ssize_t row_stride,
                          Py_ssize_t column_stride, const void* packed, const void* low, const void* zero, void* panel,
                          void* distances, Py_ssize_t pitch) noexcept nogil
        Py_ssize_t (*panel_reals)(Py_ssize_t d) noexcept nogil
        int (*lower)(Py_ssize_t count, Py_ssize_t k, const void* distances, Py_ssize_t pitch, const double* weights,
                     void* nearest, double* sums) noexcept nogil
        Py_ssize_t (*draw)(Py_ssize_t count, const void* nearest, const double* weights, double target) noexcept nogil
        void (*roots)(Py_ssize_t count, Py_ssize_t k, const void* distances, Py_ssize_t pitch, void* to,
                      Py_ssize_t row) noexcept nogil

cdef extern from "primitives.h" nogil:
    ctypedef struct gram_primitives:
        void (*centre)(Py_ssize_t k, Py_ssize_t columns, Py_ssize_t width, const void* near, void* panel,
                       double* sums) noexcept nogil
        void (*add)(Py_ssize_t rows, Py_ssize_t columns, const void* c, Py_ssize_t c_stride, double* to,
                    Py_ssize_t to_stride) noexcept nogil

cdef extern from "primitives.h" nogil:
    ctypedef struct windows:
        const char* x
        Py_ssize_t image_stride, channel_stride, row_stride, column_stride
        Py_ssize_t h, w, kh, kw, sh, sw, dh, dw, top, left, oh, ow
    ctypedef struct patch_columns:
        const char* x
        Py_ssize_t image, channel, tap, column
    ctypedef struct conv_primitives:
        Py_ssize_t short_rows
        void (*patch_block)(const windows* windows, Py_ssize_t p0, Py_ssize_t k_count, Py_ssize_t j0, Py_ssize_t columns,
                            void* panels) noexcept nogil
        void (*patch_rows)(const windows* windows, Py_ssize_t p0, Py_ssize_t rows, Py_ssize_t j0, Py_ssize_t columns,
                           void* to, Py_ssize_t stride) noexcept nogil
        void (*patch_sums)(const windows* windows, Py_ssize_t images, Py_ssize_t channels, const patch_columns* cols,
                           const void* bias, char* to, Py_ssize_t to_image, Py_ssize_t to_channel) noexcept nogil
    ctypedef struct flat_layout:
        Py_ssize_t pitch, length, extra, steps_h, steps_w, phases_h, phases_w
    flat_layout flat_layout_of(const windows* windows)
    ctypedef struct flat_primitives:
        void (*fill)(const windows* windows, Py_ssize_t pitch, Py_ssize_t channel, Py_ssize_t row_phase,
                     Py_ssize_t column_phase, Py_ssize_t start, Py_ssize_t count, Py_ssize_t room,
                     void* to) noexcept nogil
        void (*store)(Py_ssize_t rows, Py_ssize_t start, Py_ssize_t count, Py_ssize_t pitch, Py_ssize_t ow, const void* c,
                      Py_ssize_t c_stride, char* y, Py_ssize_t y_channel, Py_ssize_t y_row,
                      Py_ssize_t y_column) noexcept nogil

cdef extern from "primitives.h" nogil:
    ctypedef struct depthwise_band:
        Py_ssize_t elements
    depthwise_band depthwise_forward_band(const windows* x, Py_ssize_t itemsize)
    depthwise_band depthwise_gradient_band(const windows* x, Py_ssize_t itemsize)
    bint depthwise_fits(const windows* x)
    ctypedef struct pixel_band:
        Py_ssize_t pixels
    pixel_band pixels_forward_band(const windows* x, Py_ssize_t pixel_bytes)
    pixel_band pixels_gradient_band(const windows* x)
    ctypedef struct depthwise_primitives:
        void (*forward)(const windows* x, const void* w, const void* bias, char* y, Py_ssize_t y_row,
                        void* scratch) noexcept nogil
        void (*image_gradient)(const windows* x, const char* dy, Py_ssize_t dy_row, const void* w, bint add, char* dx,
                               Py_ssize_t dx_row, void* scratch) noexcept nogil
        void (*weight_lanes)(const windows* x, const char* dy, Py_ssize_t dy_row, double* lanes,
                             void* scratch) noexcept nogil
        void (*sum_lanes)(Py_ssize_t taps, const double* lanes, void* dw) noexcept nogil
        void (*pixels_forward)(const windows* x, Py_ssize_t channels, const void* w, const void* bias, char* y,
                               void* scratch) noexcept nogil
        void (*pixels_image_gradient)(const windows* x, const windows* dy, Py_ssize_t channels, const void* w, char* dx,
                                      void* scratch) noexcept nogil
        void (*pixels_weights)(const windows* x, const windows* dy, Py_ssize_t channels, double* sums,
                               void* scratch) noexcept nogil

cdef extern from "primitives.h" nogil:
    enum:
        WINOGRAD_PLANES
        WINOGRAD_TILES
        WINOGRAD_PIXELS
        WINOGRAD_PARTS
    ctypedef struct winograd_primitives:
        void (*kernels)(Py_ssize_t channels, Py_ssize_t width, const void* taps, bint turned, void* u, Py_ssize_t plane,
                        void* extents) noexcept nogil
        bint (*even_kernels)(Py_ssize_t parts, Py_ssize_t width, const void* extents, Py_ssize_t outputs) noexcept nogil
        void (*input)(const windows* x, Py_ssize_t row, Py_ssize_t column, Py_ssize_t channels, Py_ssize_t tiles, void* pixels,
                      void* v, Py_ssize_t plane, Py_ssize_t tile, void* energies) noexcept nogil
        bint (*even)(const windows* x, Py_ssize_t row, Py_ssize_t column, Py_ssize_t tiles,
                     const void* energies) noexcept nogil
        void (*output)(Py_ssize_t tiles, const void* m, Py_ssize_t plane, Py_ssize_t tile, const void* bias,
                       Py_ssize_t channels, void* pixels) noexcept nogil
        void (*store)(Py_ssize_t channels, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t width, const void* pixels, char* y,
                      Py_ssize_t y_channel, Py_ssize_t y_row, Py_ssize_t y_column) noexcept nogil
        void (*gradient)(const windows* dy, Py_ssize_t row, Py_ssize_t column, Py_ssize_t channels, Py_ssize_t tiles,
                         void* pixels, void* v, Py_ssize_t plane, Py_ssize_t tile, void* energies) noexcept nogil
        void (*pixel_extent)(Py_ssize_t tiles, const void* energies, double* largest, double* sum) noexcept nogil
        void (*gradient_extent)(Py_ssize_t tiles, const void* energies, double* largest, double* sum) noexcept nogil
        void (*weights)(Py_ssize_t channels, const void* m, Py_ssize_t plane, Py_ssize_t width, void* taps) noexcept nogil

cdef extern from "primitives.h" nogil:
    ctypedef struct row_primitives:
        double (*sum)(Py_ssize_t count, const void* x) noexcept nogil
        void (*means)(Py_ssize_t rows, Py_ssize_t count, const void* x, Py_ssize_t stride, void* y) noexcept nogil
        void (*maxima)(Py_ssize_t rows, Py_ssize_t count, const void* x, Py_ssize_t stride, void* y) noexcept nogil
        void (*add)(Py_ssize_t count, const void* x, void* sum) noexcept nogil
        void (*add_to_doubles)(Py_ssize_t count, const void* x, double* sums) noexcept nogil
        void (*narrow)(Py_ssize_t count, const double* x, void* y) noexcept nogil

cdef extern from "primitives.h" nogil:
    enum:
        STRIDED_AXES
    ctypedef struct strided:
        char* data
        int axes
        Py_ssize_t shape[STRIDED_AXES]
        Py_ssize_t strides[STRIDED_AXES]
    ctypedef struct strided_primitives:
        void (*gather)(const strided* array, Py_ssize_t first, Py_ssize_t count, void* to) noexcept nogil
        void (*scatter)(const strided* array, Py_ssize_t first, Py_ssize_t count, const void* source) noexcept nogil
        void (*gather_bytes)(const strided* array, Py_ssize_t first, Py_ssize_t count, uint8_t* to) noexcept nogil

cdef extern from "primitives.h" nogil:
    enum:
        OPTIMISER_sgd
        OPTIMISER_momentum
        OPTIMISER_adagrad
        OPTIMISER_rmsprop
        OPTIMISER_adam
        OPTIMISER_adamw
    ctypedef struct optim_settings:
        double lr, weight_decay, eps, first, second, m_scale, root_scale
        bint nesterov
    ctypedef void (*optim_fn)(Py_ssize_t count, void* p, const void* g, void* first, void* second,
                              const optim_settings* s) noexcept nogil
    ctypedef struct optim_primitives:
        const optim_fn* steps
        double (*squares)(Py_ssize_t count, const void* x, double scale) noexcept nogil
        void (*scale)(Py_ssize_t count, void* x, double factor) noexcept nogil

cdef extern from "primitives.h" nogil:
    enum:
        LOSS_binary_cross_entropy_with_logits
        LOSS_mse_loss
        LOSS_l1_loss
        LOSS_huber_loss
        LOSS_sigmoid_focal_loss
        LOSS_kl_div
    ctypedef double (*loss_fn)(Py_ssize_t count, const void* x, const void* y, const void* weight, const double* c,
                               double scale, void* losses, void* gradient) noexcept nogil
    ctypedef struct loss_primitives:
        const loss_fn* losses

cdef extern from "primitives.h" nogil:
    ctypedef struct pair_primitives:
        double (*margins)(Py_ssize_t d, const void* x, Py_ssize_t target, double margin, double scale, void* dx) noexcept nogil
        double (*gaussian_kl)(Py_ssize_t d, const void* m, const void* v, double scale, void* dm, void* dv) noexcept nogil
        void (*dots)(Py_ssize_t d, const void* a, const void* b, double* sums) noexcept nogil
        double (*distance)(Py_ssize_t d, const void* a, const void* b, double shift) noexcept nogil
        void (*difference)(Py_ssize_t d, const void* a, const void* b, double shift, double factor, void* y) noexcept nogil
        void (*combine)(Py_ssize_t d, const void* a, const void* b, double p, double q, void* y) noexcept nogil

cdef extern from "primitives.h" nogil:
    ctypedef struct norm_terms:
        const void* mean
        const void* rest
        const void* scale
        const void* shift
        int streamed
    ctypedef struct norm_gradient_terms:
        const void* mean
        const void* offset
        const void* slope
        const void* scale
        int streamed
    ctypedef struct norm_pair:
        const void* dy
        const void* x
        Py_ssize_t dy_stride, x_stride
    ctypedef struct norm_channels:
        const void* scale
        const void* other
        void* first
        void* second
    ctypedef struct norm_primitives:
        void (*moments)(Py_ssize_t planes, Py_ssize_t count, const void* x, Py_ssize_t stride, double* mean,
                        double* variance) noexcept nogil
        void (*gradient_sums)(Py_ssize_t planes, Py_ssize_t count, const void* dy, Py_ssize_t dy_stride, const void* x,
                              Py_ssize_t x_stride, const void* mean, double* sum, double* product) noexcept nogil
        void (*column_moments)(Py_ssize_t channels, Py_ssize_t rows, const void* x, Py_ssize_t stride, double* mean,
                               double* variance) noexcept nogil
        void (*column_gradient_sums)(Py_ssize_t channels, Py_ssize_t rows, const norm_pair* pair, const void* mean, double* sum,
                                     double* product) noexcept nogil
        int (*finish)(Py_ssize_t channels, const double** moments, double eps, const norm_channels* to, void* terms,
                      Py_ssize_t pitch) noexcept nogil
        void (*finish_gradient)(Py_ssize_t channels, const double** sums, double positions, double eps, const norm_channels* to,
                                void* terms, Py_ssize_t pitch) noexcept nogil
        void (*rows)(Py_ssize_t channels, Py_ssize_t count, const void* x, Py_ssize_t x_stride, const norm_terms* terms,
                     Py_ssize_t channel, void* y, Py_ssize_t y_stride) noexcept nogil
        void (*gradient_rows)(Py_ssize_t channels, Py_ssize_t count, const void* dy, Py_ssize_t dy_stride, const void* x,
                              Py_ssize_t x_stride, const norm_gradient_terms* terms, Py_ssize_t channel, void* dx,
                              Py_ssize_t dx_stride) noexcept nogil
        void (*columns)(Py_ssize_t channels, Py_ssize_t rows, const void* x, Py_ssize_t x_stride, const norm_terms* terms,
                        void* y, Py_ssize_t y_stride) noexcept nogil
        void (*gradient_columns)(Py_ssize_t channels, Py_ssize_t rows, const norm_pair* pair, const norm_gradient_terms* terms,
                                 void* dx, Py_ssize_t dx_stride) noexcept nogil
        void (*row)(Py_ssize_t count, const void* x, double mean, double scale, const void* gamma, const void* beta,
                    void* y) noexcept nogil
        void (*row_gradient_sums)(Py_ssize_t count, const void* dy, const void* x, const void* gamma, double mean,
                                  double scale, double* sums, void* dgamma, void* dbeta) noexcept nogil
        void (*row_gradient)(Py_ssize_t count, const void* dy, const void* x, const void* gamma, double mean, double scale,
                             double offset, double slope, void* dx) noexcept nogil

cdef extern from "primitives.h" nogil:
    ctypedef struct dropout_primitives:
        void (*draw)(uint64_t key, uint64_t kept, Py_ssize_t first, Py_ssize_t count, uint8_t* mask) noexcept nogil
        void (*apply)(Py_ssize_t count, const void* x, const uint8_t* mask, double scale, void* y) noexcept nogil

cdef extern from "primitives.h" nogil:
    enum:
        TARGET_NONE
        TARGET_IGNORED
    ctypedef struct sample_target:
        Py_ssize_t target
        double hard, scale
    ctypedef void (*softmax_fn)(Py_ssize_t c, const void* x, void* y) noexcept nogil
    ctypedef void (*softmax_rows_fn)(Py_ssize_t count, Py_ssize_t c, const char* x, Py_ssize_t x_bytes, void* y,
                                     void* scratch) noexcept nogil
    ctypedef void (*softmax_gradient_fn)(Py_ssize_t c, const void* dy, const void* y, void* dx) noexcept nogil
    ctypedef struct softmax_primitives:
        softmax_rows_fn rows_softmax, rows_log_softmax
        softmax_fn lanes_softmax, lanes_log_softmax
        softmax_gradient_fn row_softmax_backward, row_log_softmax_backward
        softmax_gradient_fn lanes_softmax_backward, lanes_log_softmax_backward
        void (*row_cross_entropy)(Py_ssize_t c, const void* x, const void* base, double base_sum,
                                  const sample_target* target, void* dx, void* loss, void* scratch) noexcept nogil
        void (*lanes_cross_entropy)(Py_ssize_t c, Py_ssize_t count, const void* x, const void* base, int shared,
                                    const double* base_sum, const sample_target* targets, void* dx,
                                    void* loss) noexcept nogil
        double (*row_base)(Py_ssize_t c, const void* target, const void* weight, double keep, double even,
                           void* base) noexcept nogil
        void (*lanes_base)(Py_ssize_t c, const void* target, const void* weight, double keep, double even, void* base,
                           double* sums) noexcept nogil

cdef extern from "primitives.h" nogil:
    enum:
        UNSIGNED_INDEX
    ctypedef struct pooling:
        Py_ssize_t h, w, kh, kw, sh, sw, dh, dw, top, left, bottom, right, oh, ow, span, seen, pitch, batch, skew, line
    ctypedef struct pool_gradients:
        Py_ssize_t planes, rows, columns
        const char* dy
        const char* indices
        Py_ssize_t dy_plane, dy_row, dy_column, index_plane, index_row, index_column, size
    ctypedef struct pool_primitives:
        int dealt
        Py_ssize_t (*lay_out)(pooling* g) noexcept nogil
        void (*gather)(Py_ssize_t planes, Py_ssize_t rows, Py_ssize_t columns, const char* x, Py_ssize_t plane_stride,
                       Py_ssize_t row_stride, Py_ssize_t column_stride, Py_ssize_t left, Py_ssize_t right, double outside,
                       Py_ssize_t pitch, void* to) noexcept nogil
        void (*max_rows)(const pooling* g, const char* x, Py_ssize_t row_stride, Py_ssize_t first, Py_ssize_t last,
                         void* scratch, void* y) noexcept nogil
        void (*mean_rows)(const pooling* g, const char* x, Py_ssize_t row_stride, Py_ssize_t first, Py_ssize_t last,
                          int include_pad, void* scratch, void* y) noexcept nogil
        void (*max_planes)(const pooling* g, const char* x, Py_ssize_t row_stride, Py_ssize_t column_stride, Py_ssize_t planes,
                           Py_ssize_t i, void* scratch, void* y) noexcept nogil
        void (*mean_planes)(const pooling* g, const char* x, Py_ssize_t row_stride, Py_ssize_t column_stride,
                            Py_ssize_t planes, Py_ssize_t i, int include_pad, void* scratch, void* y) noexcept nogil
    ctypedef struct pool_index_primitives:
        void (*max_rows)(const pooling* g, const char* x, Py_ssize_t row_stride, Py_ssize_t first, Py_ssize_t last,
                         void* scratch, void* y, int* indices) noexcept nogil
        void (*max_planes)(const pooling* g, const char* x, Py_ssize_t row_stride, Py_ssize_t column_stride, Py_ssize_t planes,
                           Py_ssize_t i, void* scratch, void* y, int* indices) noexcept nogil
        int (*scatter)(const pool_gradients* g, int type, void* dx) noexcept nogil
    ctypedef struct pool_backward_primitives:
        Py_ssize_t (*scratch_size)(const pooling* g) noexcept nogil
        void (*mean_rows)(const pooling* g, const char* dy, Py_ssize_t dy_row, Py_ssize_t dy_column, Py_ssize_t first,
                          Py_ssize_t last, int include_pad, void* scratch, void* dx) noexcept nogil
        void (*spread)(Py_ssize_t planes, Py_ssize_t count, const char* dy, Py_ssize_t dy_stride, double divisor,
                       void* dx) noexcept nogil
    ctypedef struct narrow_pool_primitives:
        void (*max)(const pooling* g, Py_ssize_t lanes, interval rows, const void* x, void* line, void* y) noexcept nogil
        void (*mean)(const pooling* g, int include_pad, Py_ssize_t lanes, interval rows, const void* x, void* line,
                     void* y) noexcept nogil
        void (*indices)(const pooling* g, Py_ssize_t lanes, interval rows, const void* x, void* y, void* places) noexcept nogil
        void (*to_integers)(Py_ssize_t count, const void* x, Py_ssize_t origin, int* to) noexcept nogil
        void (*mean_backward)(const pooling* g, int include_pad, Py_ssize_t lanes, interval rows, void* dy, void* line,
                              void* dx) noexcept nogil
        void (*fetch)(Py_ssize_t bytes, const char* x) noexcept nogil

cdef extern from "primitives.h" nogil:
    enum:
        ROW_PANEL
    ctypedef struct recurrent_primitives:
        void (*lstm)(Py_ssize_t count, Py_ssize_t h, void* gates, const void* cell, void* cell_next, void* h_next,
                     void* y) noexcept nogil
        void (*gru)(Py_ssize_t count, Py_ssize_t h, void* gates, const void* hidden, void* h_next, void* y) noexcept nogil
        void (*rnn)(Py_ssize_t count, int relu, void* gates, void* h_next, void* y) noexcept nogil
        void (*lstm_backward)(Py_ssize_t count, Py_ssize_t h, const void* gates, const void* cell, const void* dy,
                              const void* dh, void* dc, void* da) noexcept nogil
        void (*gru_backward)(Py_ssize_t count, Py_ssize_t h, const void* gates, const void* hidden, const void* dy, void* dh,
                             void* da) noexcept nogil
        void (*rnn_backward)(Py_ssize_t count, int relu, const void* gates, const void* dy, const void* dh,
                             void* da) noexcept nogil
        void (*row_panel)(Py_ssize_t k, const void* a, const void* b, Py_ssize_t vectors, void* c, Py_ssize_t columns,
                          int start, const void* bias) noexcept nogil

cdef extern from "primitives.h" nogil:
    ctypedef struct pixel_list:
        const Py_ssize_t* start
        const Py_ssize_t* pixel
        const void* weight
    ctypedef struct column_group:
        Py_ssize_t first, taps, base
        int near
        Py_ssize_t copies
    ctypedef struct resampling:
        Py_ssize_t width, columns
        pixel_list rows, across
        const column_group* groups
        const int32_t* offsets
        const void* weights
        const int32_t* masks
        double fill
    ctypedef struct resample_primitives:
        Py_ssize_t pieces
        void (*plane)(const resampling* r, const char* x, Py_ssize_t row_stride, Py_ssize_t first, Py_ssize_t last, void* line,
                      void* y) noexcept nogil
        void (*image)(const resampling* r, const char* x, Py_ssize_t row_stride, Py_ssize_t pixel_stride, Py_ssize_t channels,
                      Py_ssize_t first, Py_ssize_t last, void* line, void* y, Py_ssize_t pitch) noexcept nogil

cdef extern from "primitives.h" nogil:
    enum:
        GRID_ZEROS
        GRID_BORDER
        GRID_REFLECTION
    ctypedef struct sampling:
        Py_ssize_t h, w
        int nearest, padding, align_corners
        Py_ssize_t position, coordinate, line, pixel, channels, y_position, y_channel, dx_pixel, dy_position, dy_channel
    ctypedef struct grid_primitives:
        void (*forward)(const sampling* s, Py_ssize_t count, const char* grid, const char* x, void* y) noexcept nogil
        void (*backward)(const sampling* s, Py_ssize_t count, const char* grid, const char* x, const char* dy, void* dx,
                         void* dgrid) noexcept nogil
        void (*affine)(Py_ssize_t count, const void* x, const double* slope, const double* start, void* to) noexcept nogil

cdef extern from "primitives.h" nogil:
    ctypedef struct primitives:
        Py_ssize_t itemsize, lanes
        void (*fence)() noexcept nogil
        const tile_primitives* tile
        const pack_primitives* pack
        const activation_primitives* activation
        const attention_primitives* attention
        const embedding_primitives* embedding
        const channelwise_primitives* channelwise
        const cluster_primitives* cluster
        const distance_primitives* distance
        const gram_primitives* gram
        const conv_primitives* conv
        const flat_primitives* flat
        const depthwise_primitives* depthwise
        const winograd_primitives* winograd
        const row_primitives* rows
        const softmax_primitives* softmax
        const strided_primitives* strided
        const optim_primitives* optim
        const loss_primitives* loss
        const pair_primitives* pairs
        const norm_primitives* norm
        const dropout_primitives* dropout
        const pool_primitives* pool
        const pool_index_primitives* pool_indices
        const pool_backward_primitives* pool_backward
        const narrow_pool_primitives* narrow_pool
        const recurrent_primitives* recurrent
        const resample_primitives* resample
        const grid_primitives* grid
    const primitives* primitives_of(int isa, int bits)
