"""Moments of pieces, put together one by one."""


cdef inline void add_moments(double* mean, double* variance, Py_ssize_t seen, Py_ssize_t count, double near,
                             double spread) noexcept nogil:
    # With shares w of the elements seen, mean += w d and variance = (1 - w) variance + w (variance_b + (1 - w) d^2),
    # d = mean_b - mean. Chan, Golub, LeVeque, The American Statistician 37(3), 1983.
    cdef double share = <double>count / (seen + count), d = near - mean[0]
    if seen == 0:
        mean[0], variance[0] = near, spread
        return
    mean[0] = mean[0] + share * d if d - d == 0 else mean[0] + near
    variance[0] = (1 - share) * variance[0] + share * (spread + (1 - share) * d * d)
