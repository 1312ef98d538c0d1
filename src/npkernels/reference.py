"""The definition of every kernel in plain NumPy: the specification that tests and benchmarks compare with.

Names, arguments and results are the public ones, without `out`; arguments are taken as valid. A function works in the
dtype it is given: float64 as an oracle, float32 as a baseline. Loops run over kernel positions and blocks of samples.
Sizes: n batch, c channels, h w rows and columns, oc oh ow of the output, kh kw of the kernel, k inner axis.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

quiet = np.errstate(over="ignore", invalid="ignore", divide="ignore")  # inf and NaN are results here, not accidents


def _pair(value):
    """(rows, columns) of an int or a pair."""
    return (value, value) if np.ndim(value) == 0 else tuple(value)


def _pads(padding, kernel_size=1, dilation=1):
    """((top, bottom), (left, right)) of an int, a pair, two pairs, "valid" or "same"."""
    if padding == "same":
        spans = [d * (k - 1) for k, d in zip(_pair(kernel_size), _pair(dilation), strict=True)]
        padding = [(span // 2, span - span // 2) for span in spans]
    return tuple(_pair(side) for side in _pair(0 if padding == "valid" else padding))


def _shifts(kernel, stride, dilation, out):
    """For every kernel position (p, q): the rows and the columns of the padded image that it meets."""
    (sh, sw), (dh, dw), (oh, ow) = stride, dilation, out
    for p, q in np.ndindex(*kernel):
        yield p, q, slice(p * dh, p * dh + (oh - 1) * sh + 1, sh), slice(q * dw, q * dw + (ow - 1) * sw + 1, sw)


def _blocks(n, bytes_each):
    """Slices of range(n) whose temporaries stay near 4 MB."""
    step = max(1, (1 << 22) // max(1, bytes_each))
    return [slice(i, min(i + step, n)) for i in range(0, n, step)]


def conv_output_size(size, kernel_size, *, stride=1, padding=0, dilation=1, ceil_mode=False):
    """(oh, ow) of a window of `kernel_size` that slides over an image of `size` = (h, w)."""
    # oh = floor((h + top + bottom - dh (kh - 1) - 1) / sh) + 1, or with the ceiling of the quotient; then the last
    # window goes if it would start beyond the image and its leading pad
    out = []
    window = zip(size, _pair(kernel_size), _pair(stride), _pads(padding), _pair(dilation), strict=True)
    for n, k, s, (begin, end), d in window:
        span = n + begin + end - d * (k - 1) - 1
        o = (span + (s - 1 if ceil_mode else 0)) // s + 1
        out.append(o - 1 if ceil_mode and (o - 1) * s >= n + begin else o)
    return tuple(out)


def im2col(x, kernel_size, *, stride=1, padding=0, dilation=1):
    """x (n, c, h, w) -> cols (n, c*kh*kw, oh*ow), the patch under each window as a column."""
    # cols[n, (c, p, q), (i, j)] = x[n, c, i sh + p dh - top, j sw + q dw - left], 0 outside the image
    (kh, kw), (sh, sw), (dh, dw) = _pair(kernel_size), _pair(stride), _pair(dilation)
    padded = np.pad(x, ((0, 0), (0, 0), *_pads(padding)))
    windows = sliding_window_view(padded, (dh * (kh - 1) + 1, dw * (kw - 1) + 1), axis=(2, 3))
    patches = windows[:, :, ::sh, ::sw, ::dh, ::dw].transpose(0, 1, 4, 5, 2, 3)
    n, c, kh, kw, oh, ow = patches.shape
    return patches.reshape(n, c * kh * kw, oh * ow)


def col2im(cols, output_size, kernel_size, *, stride=1, padding=0, dilation=1):
    """cols (n, c*kh*kw, oh*ow) -> x (n, c, h, w), the adjoint of `im2col`: patches added where they came from."""
    (kh, kw), (stride, dilation), pads = _pair(kernel_size), (_pair(stride), _pair(dilation)), _pads(padding)
    oh, ow = conv_output_size(output_size, (kh, kw), stride=stride, padding=pads, dilation=dilation)
    patches = cols.reshape(len(cols), cols.shape[1] // (kh * kw), kh, kw, oh, ow)
    return _add_patches(patches, output_size, stride, pads, dilation)


def _add_patches(patches, size, stride, pads, dilation):
    # x[n, c, i sh + p dh - top, j sw + q dw - left] += patches[n, c, p, q, i, j]
    n, c, kh, kw, oh, ow = patches.shape
    (h, w), ((top, bottom), (left, right)) = size, pads
    padded = np.zeros((n, c, h + top + bottom, w + left + right), patches.dtype)
    for p, q, rows, columns in _shifts((kh, kw), stride, dilation, (oh, ow)):
        padded[:, :, rows, columns] += patches[:, :, p, q]
    return np.ascontiguousarray(padded[:, :, top : top + h, left : left + w])


def conv2d(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1, activation=None):
    """x (n, c, h, w), w (oc, c/groups, kh, kw), b (oc,) -> y (n, oc, oh, ow): cross-correlation."""
    # y[n, o, i, j] = b[o] + sum over (c, p, q) of w[o, c, p, q] x[n, c, i sh + p dh - top, j sw + q dw - left]: the
    # filters (oc, c*kh*kw) of each group of channels times its patches. Padding takes part as zeros.
    oc, k, kernel = len(w), math.prod(w.shape[1:]), w.shape[2:]
    window = {"stride": stride, "padding": _pads(padding, kernel, dilation), "dilation": dilation}
    oh, ow = conv_output_size(x.shape[2:], kernel, **window)
    filters = w.reshape(groups, oc // groups, k)
    y = np.empty((len(x), groups, oc // groups, oh * ow), x.dtype)
    for some in _blocks(len(x), groups * k * oh * ow * x.itemsize):
        y[some] = filters @ im2col(x[some], kernel, **window).reshape(len(x[some]), groups, k, oh * ow)
    y = y.reshape(len(x), oc, oh, ow)
    if b is not None:
        y += b[:, None, None]
    return y if activation is None else ACTIVATIONS[activation](y)


def conv2d_backward(dy, x, w, *, stride=1, padding=0, dilation=1, groups=1, needs=("x", "w", "b")):
    """dy (n, oc, oh, ow) -> (dx, dw, db), None in place of what `needs` leaves out."""
    # forward: y = filters @ im2col(x) + b
    # so:      dw = sum over n of dy @ im2col(x).T, dx = col2im(filters.T @ dy), db = sum of dy
    oc, k, kernel, pixels = len(w), math.prod(w.shape[1:]), w.shape[2:], dy.shape[2] * dy.shape[3]
    window = {"stride": stride, "padding": _pads(padding, kernel, dilation), "dilation": dilation}
    filters = w.reshape(groups, oc // groups, k)
    dx, dw, db = np.empty(x.shape, x.dtype), np.zeros_like(filters), dy.sum((0, 2, 3))
    for some in _blocks(len(x), groups * k * pixels * x.itemsize):
        m = len(x[some])
        dy_block = dy[some].reshape(m, groups, oc // groups, pixels)
        if "w" in needs:
            dw += (dy_block @ im2col(x[some], kernel, **window).reshape(m, groups, k, pixels).swapaxes(2, 3)).sum(0)
        if "x" in needs:
            dcols = (filters.swapaxes(1, 2) @ dy_block).reshape(m, groups * k, pixels)
            dx[some] = col2im(dcols, x.shape[2:], kernel, **window)
    return dx if "x" in needs else None, dw.reshape(w.shape) if "w" in needs else None, db if "b" in needs else None


def _pooling(size, kernel_size, stride, padding, dilation, ceil_mode):
    """(kernel, stride, dilation, out, pads), the pads made long enough for the last window of `ceil_mode`."""
    kernel, dilation, pads = _pair(kernel_size), _pair(dilation), _pads(padding)
    stride = kernel if stride is None else _pair(stride)
    out = conv_output_size(size, kernel, stride=stride, padding=pads, dilation=dilation, ceil_mode=ceil_mode)
    window = zip(size, kernel, stride, dilation, out, pads, strict=True)
    pads = tuple((lead, max(end, (o - 1) * s + d * (k - 1) + 1 - n - lead)) for n, k, s, d, o, (lead, end) in window)
    return kernel, stride, dilation, out, pads


def max_pool2d(x, kernel_size, *, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """x (n, c, h, w) -> y (n, c, oh, ow), or (y, indices): the int32 places in the (h, w) plane y was found at."""
    # y[i, j] = max over (p, q) of x[i sh + p dh - top, j sw + q dw - left]; padding is -inf and is never chosen;
    # of equal values the first wins, and the first NaN wins over every number
    h, w = x.shape[2:]
    kernel, stride, dilation, out, pads = _pooling((h, w), kernel_size, stride, padding, dilation, ceil_mode)
    padded = np.pad(x, ((0, 0), (0, 0), *pads), constant_values=-np.inf)
    y = np.full((*x.shape[:2], *out), -np.inf, x.dtype)
    if not return_indices:
        for _, _, rows, columns in _shifts(kernel, stride, dilation, out):
            np.maximum(y, padded[:, :, rows, columns], out=y)
        return y
    places = np.pad(np.arange(h * w, dtype=np.int32).reshape(h, w), pads, constant_values=-1)
    indices = np.full(y.shape, -1, np.int32)
    for _, _, rows, columns in _shifts(kernel, stride, dilation, out):
        value, place = padded[:, :, rows, columns], places[rows, columns]
        better = (value > y) | (indices < 0) | (np.isnan(value) & ~np.isnan(y))
        np.copyto(y, value, where=better)
        np.copyto(indices, place, where=better)
    return y, indices


def max_pool2d_backward(dy, indices, input_size):
    """dy, indices (n, c, oh, ow) -> dx (n, c, h, w): each dy added at the place its maximum came from."""
    (n, c), (h, w) = dy.shape[:2], input_size
    plane = np.arange(n * c).reshape(n, c, 1, 1) * (h * w)
    dx = np.zeros(n * c * h * w, dy.dtype)
    np.add.at(dx, (plane + indices.astype(np.int64)).ravel(), dy.ravel())
    return dx.reshape(n, c, h, w)


def _pool_counts(size, kernel, stride, padding, out, count_include_pad):
    """(oh, ow): the elements of each window within the image and its pads, or within the image alone."""
    counts = []
    for n, k, s, o, (lead, end) in zip(size, kernel, stride, out, _pads(padding), strict=True):
        first = np.arange(o) * s - lead
        last = np.minimum(first + k, n + end)
        counts.append(last - first if count_include_pad else np.minimum(last, n) - np.maximum(first, 0))
    return np.multiply.outer(*counts)


def avg_pool2d(x, kernel_size, *, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """x (n, c, h, w) -> y (n, c, oh, ow), the mean of each window."""
    # y[i, j] = sum over (p, q) of x[i sh + p - top, j sw + q - left] / count[i, j], x = 0 outside the image
    kernel, stride, one, out, pads = _pooling(x.shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    padded = np.pad(x, ((0, 0), (0, 0), *pads))
    y = np.zeros((*x.shape[:2], *out), x.dtype)
    for _, _, rows, columns in _shifts(kernel, stride, one, out):
        y += padded[:, :, rows, columns]
    return y / _pool_counts(x.shape[2:], kernel, stride, padding, out, count_include_pad).astype(x.dtype)


def avg_pool2d_backward(
    dy, input_size, kernel_size, *, stride=None, padding=0, ceil_mode=False, count_include_pad=True
):
    """dy (n, c, oh, ow) -> dx (n, c, h, w): dy / count added to every element of its window."""
    kernel, stride, one, out, pads = _pooling(input_size, kernel_size, stride, padding, 1, ceil_mode)
    share = dy / _pool_counts(input_size, kernel, stride, padding, out, count_include_pad).astype(dy.dtype)
    patches = np.broadcast_to(share[:, :, None, None], (*dy.shape[:2], *kernel, *out))
    return _add_patches(patches, input_size, stride, pads, one)


def global_avg_pool2d(x):
    """x (n, c, h, w) -> y (n, c), the mean of each plane."""
    return x.mean((2, 3))


def global_avg_pool2d_backward(dy, input_size):
    """dy (n, c) -> dx (n, c, h, w), dy / (h w) all over its plane."""
    return np.broadcast_to((dy / math.prod(input_size))[:, :, None, None], (*dy.shape, *input_size)).copy()


def global_max_pool2d(x):
    """x (n, c, h, w) -> y (n, c), the largest value of each plane, NaN if it holds one."""
    return x.max((2, 3))


def dense(x, w, b=None, *, activation=None):
    """x (..., k), w (n, k), b (n,) -> y (..., n) = act(x @ w.T + b)."""
    y = (x.reshape(math.prod(x.shape[:-1]), x.shape[-1]) @ w.T).reshape(*x.shape[:-1], len(w))
    y = y if b is None else y + b
    return y if activation is None else ACTIVATIONS[activation](y)


def dense_backward(dy, x, w, *, needs=("x", "w", "b")):
    """dy (..., n), x (..., k), w (n, k) -> (dx, dw, db), None in place of what `needs` leaves out."""
    # forward: y = x @ w.T + b;  so: dx = dy @ w, dw = dy.T @ x, db = sum of dy over the rows
    shape, rows = x.shape, math.prod(x.shape[:-1])
    dy, x = dy.reshape(rows, len(w)), x.reshape(rows, shape[-1])
    dx = (dy @ w).reshape(shape) if "x" in needs else None
    return dx, dy.T @ x if "w" in needs else None, dy.sum(0) if "b" in needs else None


def matmul(a, b):
    """a (..., m, k) @ b (..., k, n), leading axes broadcast; 1-D operands as in np.matmul."""
    return np.matmul(a, b)


@quiet
def softmax(x, axis=-1):
    """y = exp(x - m) / sum(exp(x - m)) along `axis`, m = max(x). A row with +inf, or of -inf alone, is NaN."""
    e = np.exp(x - x.max(axis, keepdims=True, initial=-np.inf))
    return e / e.sum(axis, keepdims=True)


@quiet
def log_softmax(x, axis=-1):
    """y = (x - m) - log(sum(exp(x - m))) along `axis`, m = max(x)."""
    y = x - x.max(axis, keepdims=True, initial=-np.inf)
    return y - np.log(np.exp(y).sum(axis, keepdims=True))


def softmax_backward(dy, y, axis=-1):
    """dx of y = softmax(x): dy_j/dx_i = y_j (delta_ij - y_i), so dx = y (dy - sum(y dy))."""
    return y * (dy - (y * dy).sum(axis, keepdims=True))


def log_softmax_backward(dy, y, axis=-1):
    """dx of y = log_softmax(x): dy_j/dx_i = delta_ij - exp(y_i), so dx = dy - exp(y) sum(dy)."""
    return dy - np.exp(y) * dy.sum(axis, keepdims=True)


def softmax_cross_entropy(logits, targets, *, weight=None, ignore_index=None, label_smoothing=0.0, reduction="mean"):
    """logits (n, c, *spatial), targets classes (n, *spatial) or probabilities (n, c, *spatial) -> loss."""
    return _cross_entropy(logits, targets, weight, ignore_index, label_smoothing, reduction, gradient=False)[0]


def softmax_cross_entropy_with_grad(
    logits, targets, *, weight=None, ignore_index=None, label_smoothing=0.0, reduction="mean"
):
    """(loss, dlogits): the loss above and its gradient, that of the sum of the losses for "none"."""
    return _cross_entropy(logits, targets, weight, ignore_index, label_smoothing, reduction, gradient=True)


@quiet
def _cross_entropy(logits, targets, weight, ignore_index, label_smoothing, reduction, gradient):
    # loss = -sum_j q_j log p_j, p = softmax(logits) and q_j = weight_j ((1 - s) target_j + s / c);  so:
    # dlogits = p sum(q) - q. The mean divides by the sum of the weights of the targets, or by the number of samples
    # when targets are probabilities. An ignored sample has loss, weight and gradient 0, whatever its logits.
    c, samples = logits.shape[1], logits.shape[:1] + logits.shape[2:]
    m, even = math.prod(samples), label_smoothing / max(c, 1)
    logp = log_softmax(np.moveaxis(logits, 1, -1).reshape(m, c))
    weight, every, ignored = np.ones(c, logits.dtype) if weight is None else weight, np.arange(m), np.zeros(m, bool)
    if np.issubdtype(targets.dtype, np.floating):
        q = weight * ((1 - label_smoothing) * np.moveaxis(targets, 1, -1).reshape(m, c) + even)
        losses, total, divisor = -(q * logp).sum(1), q.sum(1), m
    else:
        ignored = ignored if ignore_index is None else targets.reshape(m) == ignore_index
        targets = np.where(ignored, 0, targets.reshape(m)).astype(np.intp)
        divisor = weight[targets][~ignored].sum()
        total = q = (1 - label_smoothing) * weight[targets]  # of the target alone, a vector
        losses = -q * logp[every, targets]
        if even:
            losses, total = losses - even * (logp * weight).sum(1), total + even * weight.sum()
        losses[ignored] = 0
    divisor = divisor if reduction == "mean" else 1
    loss = losses.reshape(samples) if reduction == "none" else losses.sum() / divisor
    if not gradient:
        return loss, None
    d = np.exp(logp) * total[:, None] - (q if q.ndim == 2 else even * weight)
    if q.ndim == 1:
        d[every, targets] -= q
    d /= divisor
    d[ignored] = 0
    return loss, np.ascontiguousarray(np.moveaxis(d.reshape(*samples, c), -1, 1))


def relu(x):
    """max(0, x)."""
    return np.maximum(x, 0)


def relu_backward(dy, x):
    """dx = 0 for x <= 0, else dy."""
    return np.where(x <= 0, 0, dy)


def sigmoid(x):
    """1 / (1 + e^-x); with e = exp(-|x|): 1/(1 + e) for x >= 0, e/(1 + e) below, accurate to the denormals."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def sigmoid_backward(dy, x):
    """dx = dy f (1 - f), with 1 - f(x) = f(-x)."""
    return dy * (sigmoid(x) * sigmoid(-x))


def tanh(x):
    """tanh x."""
    return np.tanh(x)


@quiet
def tanh_backward(dy, x):
    """dx = dy (1 - tanh^2 x) = dy / cosh^2 x."""
    return dy * (1 / np.cosh(x)) ** 2


def leaky_relu(x, slope=0.01):
    """`slope` x for x < 0, else x."""
    return np.where(x < 0, slope * x, x)


def elu(x, alpha=1.0):
    """alpha (e^x - 1) for x <= 0, else x."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def softplus(x, beta=1.0):
    """ln(1 + e^(beta x)) / beta = max(x, 0) + ln(1 + e^-|beta x|) / beta."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(beta * x))) / beta


@quiet
def silu(x):
    """x sigmoid(x), 0 at -inf."""
    return np.where(x == -np.inf, 0, x * sigmoid(x))


@quiet
def gelu(x, approximate="none"):
    """x Phi(x), Phi the normal distribution function or its tanh approximation; 0 at -inf."""
    # Phi(x) = erfc(-x / sqrt 2) / 2  ~  (1 + tanh u) / 2 = sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3)
    if approximate == "tanh":
        phi = sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x**3))
    else:
        phi = 0.5 * np.vectorize(math.erfc, otypes=[x.dtype])(-x / math.sqrt(2))
    return np.where(x == -np.inf, 0, x * phi)


ACTIVATIONS = {f.__name__: f for f in (relu, leaky_relu, sigmoid, tanh, gelu, silu, softplus, elu)}


def momentum_step(p, g, velocity, *, lr, momentum=0.9, nesterov=False, weight_decay=0.0):
    """One step of stochastic gradient descent with momentum; `p` and `velocity` change in place."""
    # g' = g + weight_decay p;  velocity = momentum velocity + g';  p -= lr velocity, or lr (g' + momentum velocity)
    g = g + weight_decay * p
    velocity[...] = momentum * velocity + g
    p -= lr * (g + momentum * velocity if nesterov else velocity)


@quiet
def kmeans_assign(x, centroids, *, return_distances=False):
    """x (n, d), centroids (k, d) -> labels (n,) int32 of the nearest centroid, and the squared distances (n,)."""
    # |x - c|^2 - |x - m|^2 = |c'|^2 - 2 x'.c' with x' = x - m, c' = c - m, m the mean of the centroids: one product
    # a block of rows. Scores within the rounding error of the smallest count as ties; the lowest index wins them.
    mean = centroids.mean(0)
    centred = centroids - mean
    norms = (centred * centred).sum(1)
    rounding = 4 * (x.shape[1] + 16) * np.finfo(x.dtype).eps
    labels, distances = np.empty(len(x), np.int32), np.empty(len(x), x.dtype)
    for some in _blocks(len(x), (len(centroids) + x.shape[1]) * x.itemsize):
        rows = x[some] - mean
        scores = rows @ (-2 * centred.T) + norms
        limit = scores.min(1) + rounding * ((rows * rows).sum(1) + norms.max())
        labels[some] = (scores <= limit[:, None]).argmax(1)
        if return_distances:
            distances[some] = ((x[some] - centroids[labels[some]]) ** 2).sum(1)
    return (labels, distances) if return_distances else labels


def kmeans_accumulate(x, centroids, *, sample_weight=None):
    """(labels (n,) int32, sums (k, d) float64, counts (k,) float64, inertia) of one pass over x (n, d)."""
    # sums_j = sum of w_i x_i and counts_j = sum of w_i over label i = j; inertia = sum of w_i |x_i - c_label|^2
    k = len(centroids)
    labels, distances = kmeans_assign(x, centroids, return_distances=True)
    weight = np.ones(len(x)) if sample_weight is None else sample_weight.astype(np.float64)
    sums = np.stack([np.bincount(labels, weight * column, minlength=k) for column in x.T], axis=1)
    return labels, sums, np.bincount(labels, weight, minlength=k), float(weight @ distances.astype(np.float64))
