# The primitives of elementwise as Cython sees them; declarations only. The contracts stand in kernels/elementwise/*.h.

from libc.stdint cimport uint8_t, uint64_t


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

    ctypedef struct dropout_primitives:
        void (*draw)(uint64_t key, uint64_t kept, Py_ssize_t first, Py_ssize_t count, uint8_t* mask) noexcept nogil
        void (*apply)(Py_ssize_t count, const void* x, const uint8_t* mask, double scale, void* y) noexcept nogil
