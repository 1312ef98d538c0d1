"""Autoencoders of handwritten digits against principal components: plain, denoising, and sparse.

All pass a digit through a code of eight numbers, as eight principal components do. The denoising one sees noisy digits
and is asked for the clean ones; the sparse one pays for each unit of its code.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

import npkernels as nk
from npkernels import nn
from npkernels.data import load_digits
from npkernels.examples._command import Outcome, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]

CODE, EPOCHS, QUICK = 8, 60, 15
NOISE = np.float32(0.3)


class Penalty(nn.Layer):
    """Lets x pass, at a cost of `factor` |x| a sample in the loss, of which only the gradient matters."""

    def __init__(self, factor: float):
        self.factor = factor

    def forward(self, x: Any, *, training: bool = False) -> Any:
        """x itself."""
        self.keep(x if training else None)
        return x

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Any:
        """The gradient of what follows, and that of the cost."""
        x = self.kept()
        return dy + np.sign(x) * x.dtype.type(self.factor / len(x))


def network(rng: np.random.Generator, penalty: float) -> nn.Sequential:
    """From 64 pixels to the code and back."""
    return nn.Sequential(
        nn.Dense(64, 128),
        nn.ReLU(),
        nn.Dense(128, CODE),
        Penalty(penalty),
        nn.Dense(CODE, 128),
        nn.ReLU(),
        nn.Dense(128, 64),
        nn.Sigmoid(),
        rng=rng,
    )


def noisy(x: Array, rng: np.random.Generator) -> Array:
    """With normal noise on every pixel."""
    return x + NOISE * rng.standard_normal(x.shape, dtype=x.dtype)


def error(x: Array, y: Array) -> float:
    """The mean squared difference."""
    return float(nk.mse_loss(y, x))


def run(seed: int, quick: bool) -> Outcome:
    """Trains three networks, and compares them on digits that none has seen."""
    epochs = QUICK if quick else EPOCHS
    images, _ = load_digits()
    rng = np.random.default_rng(seed)
    x_train, x_test = nn.train_test_split((images.reshape(-1, 64) / 16).astype(np.float32), rng=rng)
    dirty = noisy(x_test, rng)
    pca = nk.PCA(CODE).fit(x_train)
    components = pca.inverse_transform(pca.transform(x_test))
    of_noise = pca.inverse_transform(pca.transform(dirty))

    def train(augment: Any = None, penalty: float = 0.0) -> nn.Sequential:
        model = network(rng, penalty)
        nn.fit(
            model,
            x_train,
            x_train,
            loss=nk.mse_loss_with_grad,
            optimiser=nn.Adam(3e-3),
            schedule=nn.cosine_decay(3e-3, epochs),
            epochs=epochs,
            augment=augment,
            rng=rng,
            progress=False,
        )
        return model

    plain, denoising, sparse = train(), train(noisy), train(penalty=3e-4)
    results = {"plain": plain.predict(x_test), "sparse": sparse.predict(x_test), "denoising": denoising.predict(dirty)}
    errors = {name: error(x_test, y) for name, y in results.items()}
    linear, of_dirty = error(x_test, components), error(x_test, of_noise)
    sizes = [float(np.abs(model[:4].predict(x_test)).mean()) for model in (plain, sparse)]
    print(f"{CODE} numbers a digit        squared error")
    print(f"principal components        {linear:.4f}, from noisy digits {of_dirty:.4f}")
    for name in errors:
        print(f"{name:28}{errors[name]:.4f}")
    print(f"mean size of the code       {sizes[0]:.2f} plain, {sizes[1]:.2f} sparse", flush=True)
    reached = max(errors["plain"], errors["sparse"]) < linear and errors["denoising"] < of_dirty and sizes[1] < sizes[0]
    sentence = (
        f"From codes of {CODE} numbers the plain autoencoder gives digits back with a squared error of "
        f"{errors['plain']:.4f}, the sparse one {errors['sparse']:.4f}, principal components {linear:.4f}; from noisy "
        f"digits the denoising one {errors['denoising']:.4f}, principal components {of_dirty:.4f}."
    )
    rows = {"digit": x_test, "components": components, **results, "noisy": dirty, "components, noisy": of_noise}
    return Outcome(sentence, reached, lambda figure: draw(figure, rows))


def draw(figure: Any, rows: dict[str, Array]) -> None:
    """Twelve digits, and what becomes of them."""
    order = ["digit", "components", "plain", "sparse", "noisy", "components, noisy", "denoising"]
    figure.set_size_inches(10, 6)
    for ax, name in zip(figure.subplots(len(order), 1), order, strict=True):
        ax.imshow(rows[name][:12].reshape(12, 8, 8).swapaxes(0, 1).reshape(8, 96), cmap="gray_r", vmin=0, vmax=1)
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
        ax.set(xticks=[], yticks=[])


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    return command(run, __doc__ or "", arguments)


if __name__ == "__main__":
    sys.exit(main())
