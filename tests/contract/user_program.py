"""What a user writes, in types as strict as mypy has them: every family, and what flags do to results."""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import npkernels as nk

Float32 = NDArray[np.float32]


class Tensor:
    """An array of another library."""

    def __array__(self, dtype: object = None, copy: object = None) -> Float32:
        return np.ones((2, 2), np.float32)


def features(images: Float32, kernels: Float32, bias: Float32) -> tuple[Float32, NDArray[np.int32], Float32]:
    z = nk.conv2d(images, kernels, bias, padding="same", algorithm="direct")
    y, indices = nk.max_pool2d(nk.relu(z), 2, return_indices=True)
    return y, indices, z


def step(images: Float32, classes: NDArray[np.int64], weights: dict[str, Float32], rng: np.random.Generator) -> float:
    y, indices, z = features(images, weights["kernels"], weights["bias"])
    kept, mask = nk.dropout(nk.global_avg_pool2d(y), 0.1, rng)
    logits = nk.dense(kept, weights["w"])
    loss, dlogits = nk.softmax_cross_entropy_with_grad(logits, classes, label_smoothing=0.1)
    assert_type(loss, np.float32)
    dkept, dw, _ = nk.dense_backward(dlogits, kept, weights["w"])
    dy = nk.global_avg_pool2d_backward(nk.dropout_backward(dkept, mask, 0.1), y.shape[2:])
    dz = nk.relu_backward(nk.max_pool2d_backward(dy, indices, z.shape[2:]), z)
    dimages, dkernels, dbias = nk.conv2d_backward(dz, images, weights["kernels"], padding="same", needs=("w", "b"))
    assert_type(dimages, Float32 | None)
    if dkernels is not None and dbias is not None:
        nk.clip_grad_norm([dkernels, dbias, dw], 1.0)
        for name, gradient in (("kernels", dkernels), ("bias", dbias), ("w", dw)):
            nk.sgd_step(weights[name], gradient, lr=0.1)
    return float(loss)


def flags(x: Float32, image: Float32, rng: np.random.Generator) -> None:
    assert_type(nk.max_pool2d(image, (2, 2)), Float32)
    assert_type(nk.kmeans_assign(x, x[:2]), NDArray[np.int32])
    assert_type(nk.kmeans_assign(x, x[:2], return_distances=True), tuple[NDArray[np.int32], Float32])
    assert_type(nk.mse_loss(x, x), np.float32)
    assert_type(nk.mse_loss(x, x, reduction="none"), Float32)
    assert_type(nk.kl_div_with_grad(x, abs(x), reduction="batchmean"), tuple[np.float32, Float32])
    assert_type(nk.softmax_cross_entropy(x, x.argmax(1), reduction="none"), Float32)
    assert_type(nk.rrelu(x), Float32)
    assert_type(nk.rrelu(x, training=True, rng=rng), tuple[Float32, Float32])
    assert_type(nk.prelu_backward(x, x, slope=0.25), tuple[Float32, Float32])
    assert_type(nk.dense_backward(x, x, np.eye(x.shape[1], dtype=np.float32)), tuple[Float32, Float32, Float32])
    assert_type(nk.matmul([[1.0, 2.0]], [[3.0], [4.0]]), NDArray[np.floating[Any]])  # lists say nothing of the dtype
    assert_type(nk.tanh(Tensor()), Float32)
    assert_type(nk.layer_norm(x, np.ones(4, np.float32), np.zeros(4, np.float32)), tuple[Float32, Float32, Float32])
    assert_type(nk.im2col(nk.conv_transpose2d(image, image), 2, stride=2), Float32)
    assert_type(nk.conv_output_size((8, 8), 3), tuple[int, int])
    assert_type(nk.ACTIVATIONS["gelu"](nk.log_softmax(x)), NDArray[Any])


def main() -> None:
    rng = np.random.default_rng(0)
    images = rng.random((4, 3, 8, 8), np.float32)
    shapes: dict[str, tuple[int, ...]] = {"kernels": (5, 3, 3, 3), "bias": (5,), "w": (2, 5)}
    weights = {name: rng.random(shape, np.float32) for name, shape in shapes.items()}
    with nk.threads(1):
        print(nk.isa(), step(images, np.array([0, 1, 1, 0]), weights, rng))
    flags(rng.random((6, 4), np.float32), images[:3], rng)
    samples = nk.PCA(2, whiten=True).fit_transform(images.reshape(4, -1))
    kmeans = nk.KMeans(2, random_state=0).fit(samples)
    assert_type(kmeans.labels_, NDArray[np.int32])
    print(kmeans.inertia_, nk.MiniBatchKMeans(n_clusters=2).partial_fit(samples).predict(samples))


if __name__ == "__main__":
    main()
