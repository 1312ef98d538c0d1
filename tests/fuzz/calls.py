"""The registry: for every public kernel a function that draws a valid call of it."""

import functools
import inspect

import numpy as np

import npkernels as nk

from . import attention_calls, estimator_calls, image_calls, line_calls, neighbour_calls, sampling_calls, sequence_calls
from .draw import Call, chance, needs, one_each, pick, positive, shape, size, values

FUSED = image_calls.FUSED
REDUCTIONS = "mean", "sum", "none"
ELEMENTWISE = {
    "leaky_relu": lambda rng: {"slope": pick(rng, 0.01, -0.3, 0, 2)},
    "clip": lambda rng: {"low": pick(rng, -1, -np.inf), "high": pick(rng, 0.5, np.inf)},
    "isru": lambda rng: {"alpha": pick(rng, 1, 0.3)},
    "isrlu": lambda rng: {"alpha": pick(rng, 1, 2.5)},
    "elu": lambda rng: {"alpha": pick(rng, 1, -0.7)},
    "celu": lambda rng: {"alpha": pick(rng, 1, 0.3, -1.7)},
    "softplus": lambda rng: {"beta": pick(rng, 1, 4.5, -2)},
    "gelu": lambda rng: {"approximate": pick(rng, "none", "tanh")},
    "soft_exponential": lambda rng: {"alpha": pick(rng, 0, 0.3, -0.6)},
    "soft_clipping": lambda rng: {"alpha": pick(rng, 1, 0.1, 300, -2)},
    "prelu": lambda rng: {},
    "srelu": lambda rng: {},
    "apl": lambda rng: {},
    "rrelu": lambda rng: {"lower": 0.1, "upper": pick(rng, 0.1, 0.4)},
}
FROM_OUTPUT = "sigmoid", "tanh", "relu", "elu", "selu", "leaky_relu", "softplus"


def any_shape(rng):
    return shape(rng, int(rng.integers(5)))


def pair(rng, dtype, sizes):
    return values(rng, sizes, dtype), values(rng, sizes, dtype)


# --- elementwise


def learned(rng, name, x, dtype):
    """Parameters that are arrays, a number for each channel of `x`."""
    channels = x.shape[min(1, x.ndim - 1)] if x.ndim else 1
    if name == "prelu":
        return {"slope": one_each(rng, channels, dtype)}
    if name == "srelu":
        return {side: one_each(rng, channels, dtype) for side in ("t_left", "a_left", "t_right", "a_right")}
    if name == "apl":
        pieces = size(rng)
        shapes = [pick(rng, (pieces,), (pieces, channels)) for _ in range(2)]
        return {"slopes": values(rng, shapes[0], dtype), "hinges": values(rng, shapes[1], dtype)}
    return {}


def forward(rng, dtype, *, name):
    x = values(rng, any_shape(rng), dtype)
    options = ELEMENTWISE.get(name, lambda rng: {})(rng) | learned(rng, name, x, dtype)
    if name == "rrelu" and chance(rng, 0.5):
        options |= {"training": True, "rng": np.random.default_rng(int(rng.integers(99)))}
    return Call(getattr(nk, name), (x,), options)


def backward(rng, dtype, *, name):
    dy, x = pair(rng, dtype, any_shape(rng))
    options = ELEMENTWISE.get(name, lambda rng: {})(rng) | learned(rng, name, x, dtype)
    if name == "rrelu" and chance(rng, 0.5):
        options |= {"training": True, "slopes": values(rng, x.shape, dtype)}
    if name in FROM_OUTPUT and min(options.get("slope", 0), options.get("alpha", 0)) >= 0:
        options["from_output"] = chance(rng, 0.5)
    return Call(getattr(nk, f"{name}_backward"), (dy, x), options)


def channels_of(rng):
    """Sizes with a channel axis, and the channels."""
    sizes = shape(rng, int(rng.integers(1, 5)))
    return sizes, min(1, len(sizes) - 1)


def glu(rng, dtype):
    sizes = list(shape(rng, int(rng.integers(1, 5))))
    axis = int(rng.integers(-len(sizes), len(sizes)))
    dy = values(rng, tuple(sizes), dtype)
    sizes[axis] *= 2
    return dy, values(rng, tuple(sizes), dtype), axis


def glu_forward(rng, dtype):
    return Call(nk.glu, glu(rng, dtype)[1:], {})


def glu_backward(rng, dtype):
    return Call(nk.glu_backward, glu(rng, dtype), {})


def maxout(rng, dtype):
    sizes, axis = channels_of(rng)
    pieces = int(rng.integers(1, 6))
    x = values(rng, (*sizes[:axis], sizes[axis] * pieces, *sizes[axis + 1 :]), dtype)
    return Call(nk.maxout, (x, pieces), {})


def maxout_backward(rng, dtype):
    sizes, _ = channels_of(rng)
    pieces = int(rng.integers(1, 6))
    which = rng.integers(pieces, size=sizes).astype(pick(rng, "b", "H", "i", "q", "Q"))
    return Call(nk.maxout_backward, (values(rng, sizes, dtype), which, pieces), {})


def dropout(rng, dtype):
    p = pick(rng, 0, 1, 0.5, 0.1)
    return Call(nk.dropout, (values(rng, any_shape(rng), dtype), p, np.random.default_rng(int(rng.integers(99)))), {})


def dropout_backward(rng, dtype):
    dy = values(rng, any_shape(rng), dtype)
    return Call(nk.dropout_backward, (dy, np.array(rng.random(dy.shape) < 0.7), pick(rng, 0, 1, 0.5, 0.1)), {})


# --- linear


def dense(rng, dtype):
    k, n = size(rng), size(rng)
    x = values(rng, (*shape(rng, int(rng.integers(4)), 20_000 // max(1, k, n)), k), dtype)
    b = values(rng, (n,), dtype) if chance(rng, 0.5) else None
    return Call(nk.dense, (x, values(rng, (n, k), dtype), b), {"activation": pick(rng, *FUSED)})


def dense_backward(rng, dtype):
    k, n = size(rng), size(rng)
    leading = shape(rng, int(rng.integers(4)), 20_000 // max(1, k, n))
    operands = values(rng, (*leading, n), dtype), values(rng, (*leading, k), dtype), values(rng, (n, k), dtype)
    return Call(nk.dense_backward, operands, {"needs": needs(rng, "x", "w", "b")})


def matmul(rng, dtype):
    m, k, n = size(rng), size(rng), size(rng)
    leading = shape(rng, int(rng.integers(4)), 60)
    sides = []
    for matrix in (m, k), (k, n):
        axes = leading[int(rng.integers(len(leading) + 1)) :]
        sides.append((*(1 if chance(rng, 0.3) else s for s in axes), *matrix))
    if chance(rng, 0.1):
        sides[0] = (k,)
    if chance(rng, 0.1):
        sides[1] = (k,)
    return Call(nk.matmul, tuple(values(rng, side, dtype) for side in sides), {})


def matmul_backward(rng, dtype):
    a, b = matmul(rng, dtype).args
    dc = values(rng, np.shape(np.matmul(np.zeros(a.shape), np.zeros(b.shape))), dtype)
    return Call(nk.matmul_backward, (dc, a, b), {"needs": needs(rng, "a", "b")})


# --- softmax and losses


def softmax(rng, dtype, *, name):
    sizes = shape(rng, int(rng.integers(1, 5)))
    axis = int(rng.integers(-len(sizes), len(sizes)))
    count = 2 if name.endswith("_backward") else 1
    return Call(getattr(nk, name), (*(values(rng, sizes, dtype) for _ in range(count)), axis), {})


def cross_entropy(rng, dtype, *, name):
    n, c, *spatial = shape(rng, int(rng.integers(2, 5)))
    c = max(1, c)
    logits = values(rng, (n, c, *spatial), dtype)
    options = {"label_smoothing": pick(rng, 0.0, 0.0, 0.1, 1.0), "reduction": pick(rng, *REDUCTIONS)}
    if chance(rng, 0.4):
        options["weight"] = positive(rng, c, dtype)
    if chance(rng, 0.3):
        return Call(getattr(nk, name), (logits, positive(rng, logits.shape, dtype)), options)
    kinds = [kind for kind in "bBhHiIqQ" if np.iinfo(kind).max >= c]
    targets = rng.integers(c, size=(n, *spatial)).astype(pick(rng, *kinds))
    if chance(rng, 0.3):
        options["ignore_index"] = int(rng.integers(c))
    return Call(getattr(nk, name), (logits, targets), options)


def nll_loss(rng, dtype, *, name):
    call = cross_entropy(rng, dtype, name="softmax_cross_entropy")
    logits, targets = call.args
    if targets.dtype.kind == "f":
        targets = rng.integers(logits.shape[1], size=logits.shape[:1] + logits.shape[2:])
    options = {key: value for key, value in call.kwargs.items() if key != "label_smoothing"}
    return Call(getattr(nk, name), (logits, targets), options)


def one_hot(rng, dtype):
    count = size(rng, 1)
    kinds = [kind for kind in "bBhHiIqQ" if np.iinfo(kind).max >= count]
    indices = rng.integers(count, size=any_shape(rng)).astype(pick(rng, *kinds))
    return Call(nk.one_hot, (indices, count), {"dtype": dtype})


def loss(rng, dtype, *, name):
    sizes = any_shape(rng)
    x, y = pair(rng, dtype, sizes)
    kind, options = name.removesuffix("_with_grad"), {"reduction": pick(rng, *REDUCTIONS)}
    if kind == "kl_div":
        y = positive(rng, sizes, dtype)
        options["reduction"] = pick(rng, *REDUCTIONS, *(["batchmean"] if sizes else []))
    if kind == "huber_loss":
        options["delta"] = pick(rng, 1, 0.3)
    if kind == "sigmoid_focal_loss":
        options |= {"alpha": pick(rng, 0.25, -1), "gamma": pick(rng, 2, 0, 1.5)}
    if kind == "binary_cross_entropy_with_logits" and chance(rng, 0.5):
        axes = sizes[int(rng.integers(len(sizes) + 1)) :]
        options["pos_weight"] = positive(rng, tuple(1 if chance(rng, 0.3) else s for s in axes), dtype)
    return Call(getattr(nk, name), (x, y), options)


def multi_margin_loss(rng, dtype, *, name):
    n, c = size(rng), size(rng, 1)
    kinds = [kind for kind in "bBhHiIqQ" if np.iinfo(kind).max >= c]
    targets = rng.integers(c, size=n).astype(pick(rng, *kinds))
    options = {"margin": pick(rng, 1, 0.3), "reduction": pick(rng, *REDUCTIONS)}
    return Call(getattr(nk, name), (values(rng, (n, c), dtype), targets), options)


def triplet_margin_loss(rng, dtype, *, name):
    sizes = shape(rng, int(rng.integers(1, 5)))
    options = {"margin": pick(rng, 1, 0.3), "reduction": pick(rng, *REDUCTIONS)}
    return Call(getattr(nk, name), tuple(values(rng, sizes, dtype) for _ in range(3)), options)


def gaussian_kl(rng, dtype, *, name):
    sizes = shape(rng, int(rng.integers(1, 5)))
    options = {"reduction": pick(rng, *REDUCTIONS, *(["batchmean"] if len(sizes) > 1 else []))}
    return Call(getattr(nk, name), pair(rng, dtype, sizes), options)


def cosine(rng, dtype, *, name):
    sizes = shape(rng, int(rng.integers(1, 5)))
    axis = int(rng.integers(-len(sizes), len(sizes)))
    dy = () if name == "cosine_similarity" else (values(rng, tuple(np.delete(sizes, axis)), dtype),)
    return Call(getattr(nk, name), (*dy, *pair(rng, dtype, sizes), axis), {})


# --- normalisation


def images(rng):
    sizes = list(shape(rng, int(rng.integers(2, 5))))
    return [max(1, s) if i != 1 else s for i, s in enumerate(sizes)]


def batch_norm(rng, dtype):
    sizes = images(rng)
    operands = values(rng, sizes, dtype), *pair(rng, dtype, sizes[1])
    return Call(nk.batch_norm, operands, {"eps": pick(rng, 1e-5, 0.1)})


def batch_norm_inference(rng, dtype):
    sizes = shape(rng, int(rng.integers(2, 5)))
    c = sizes[1]
    operands = *(values(rng, s, dtype) for s in (sizes, c, c, c)), positive(rng, c, dtype)
    return Call(nk.batch_norm_inference, operands, {"eps": pick(rng, 1e-5, 0.1)})


def batch_norm_backward(rng, dtype):
    sizes = images(rng)
    operands = *pair(rng, dtype, sizes), *pair(rng, dtype, sizes[1]), positive(rng, sizes[1], dtype)
    return Call(nk.batch_norm_backward, operands, {"eps": pick(rng, 1e-5, 0.1)})


def layer_norm(rng, dtype):
    sizes = shape(rng, int(rng.integers(1, 5)))
    operands = values(rng, sizes, dtype), *pair(rng, dtype, sizes[-1])
    return Call(nk.layer_norm, operands, {"eps": pick(rng, 1e-5, 0.1)})


def layer_norm_backward(rng, dtype):
    sizes = shape(rng, int(rng.integers(1, 5)))
    operands = *pair(rng, dtype, sizes), values(rng, sizes[-1], dtype), values(rng, sizes[:-1], dtype)
    return Call(nk.layer_norm_backward, (*operands, positive(rng, sizes[:-1], dtype)), {"eps": pick(rng, 1e-5, 0.1)})


def group_norm(rng, dtype):
    sizes = shape(rng, int(rng.integers(2, 5)))
    operands = values(rng, sizes, dtype), divisor(rng, sizes[1]), *pair(rng, dtype, sizes[1])
    return Call(nk.group_norm, operands, {"eps": pick(rng, 1e-5, 0.1)})


def group_norm_backward(rng, dtype):
    sizes = shape(rng, int(rng.integers(2, 5)))
    groups = divisor(rng, sizes[1])
    moments = values(rng, (sizes[0], groups), dtype), positive(rng, (sizes[0], groups), dtype)
    operands = *pair(rng, dtype, sizes), groups, values(rng, sizes[1], dtype), *moments
    return Call(nk.group_norm_backward, operands, {"eps": pick(rng, 1e-5, 0.1)})


def divisor(rng, c):
    return int(pick(rng, *(i for i in range(1, c + 1) if c % i == 0))) if c else 1


def rms_norm(rng, dtype):
    sizes = shape(rng, int(rng.integers(1, 5)))
    return Call(nk.rms_norm, (values(rng, sizes, dtype), values(rng, sizes[-1], dtype)), {"eps": pick(rng, None, 0.1)})


def rms_norm_backward(rng, dtype):
    sizes = shape(rng, int(rng.integers(1, 5)))
    operands = *pair(rng, dtype, sizes), values(rng, sizes[-1], dtype), positive(rng, sizes[:-1], dtype)
    return Call(nk.rms_norm_backward, operands, {"eps": pick(rng, None, 0.1)})


# --- optimisers: what is written comes first and behind g

STATES = {"sgd": 0, "momentum": 1, "adagrad": 1, "rmsprop": 1, "adam": 2, "adamw": 2}


def step(rng, dtype, *, name):
    kind = name.removesuffix("_step")
    sizes = any_shape(rng)
    arrays = *pair(rng, dtype, sizes), *(positive(rng, sizes, dtype) for _ in range(STATES[kind]))
    options = {"lr": pick(rng, 0.1, 0.0), "weight_decay": pick(rng, 0.0, 0.01)}
    if kind == "momentum":
        options |= {"momentum": pick(rng, 0.9, 0.0), "nesterov": chance(rng, 0.5)}
    if kind in ("adam", "adamw"):
        options["step"] = int(rng.integers(1, 2000))
    return Call(getattr(nk, name), arrays, options, (0, *range(2, len(arrays))))


def clip_grad_norm(rng, dtype):
    grads = [values(rng, any_shape(rng), dtype) for _ in range(rng.integers(4))]
    return Call(nk.clip_grad_norm, (grads, pick(rng, 0.5, 1e4)), {}, (0,))


# ---


def registry():
    draws = [
        maxout,
        maxout_backward,
        glu_backward,
        dropout,
        dropout_backward,
        dense,
        dense_backward,
        matmul,
        matmul_backward,
        one_hot,
        batch_norm,
        batch_norm_inference,
        batch_norm_backward,
        layer_norm,
        layer_norm_backward,
        group_norm,
        group_norm_backward,
        rms_norm,
        rms_norm_backward,
        clip_grad_norm,
    ]
    calls = {draw.__name__: draw for draw in draws} | {"glu": glu_forward}
    for name in *nk.ACTIVATIONS, "maxout":
        if name not in calls:
            calls[name] = functools.partial(forward, name=name)
            calls[f"{name}_backward"] = functools.partial(backward, name=name)
    for name in "softmax", "log_softmax", "softmax_backward", "log_softmax_backward":
        calls[name] = functools.partial(softmax, name=name)
    for name in "binary_cross_entropy_with_logits", "mse_loss", "l1_loss", "huber_loss", "kl_div", "sigmoid_focal_loss":
        for each in name, f"{name}_with_grad":
            calls[each] = functools.partial(loss, name=each)
    for name in "softmax_cross_entropy", "softmax_cross_entropy_with_grad":
        calls[name] = functools.partial(cross_entropy, name=name)
    for name in "nll_loss", "nll_loss_with_grad":
        calls[name] = functools.partial(nll_loss, name=name)
    for draw in multi_margin_loss, triplet_margin_loss, gaussian_kl:
        for name in draw.__name__, f"{draw.__name__}_with_grad":
            calls[name] = functools.partial(draw, name=name)
    for name in "cosine_similarity", "cosine_similarity_backward":
        calls[name] = functools.partial(cosine, name=name)
    for name in STATES:
        calls[f"{name}_step"] = functools.partial(step, name=f"{name}_step")
    calls |= image_calls.CALLS | sampling_calls.CALLS | sequence_calls.CALLS | attention_calls.CALLS
    calls |= line_calls.CALLS | estimator_calls.CALLS | neighbour_calls.CALLS
    return dict(sorted(calls.items()))


CALLS = registry()
OUT = [name for name in CALLS if "out" in inspect.signature(getattr(nk, name)).parameters]
