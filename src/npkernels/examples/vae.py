"""A variational autoencoder of handwritten digits: codes are drawn, their distribution is held near the normal one.

Its loss is minus the evidence bound, in nats a digit: the cross-entropy of the pixels and the divergence of the codes
[1]_. New digits come from codes that are drawn, and from the way between two of them.

References
----------
.. [1] D. P. Kingma and M. Welling, "Auto-encoding variational Bayes", ICLR 2014.
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

CODE, EPOCHS, QUICK = 8, 80, 20
PIXELS = 64


class Variational(nn.Layer):
    """z = mean + exp(log_var / 2) noise, so that the gradient goes through mean and log_var."""

    def __init__(self, rng: np.random.Generator):
        self.encoder = nn.Sequential(nn.Dense(PIXELS, 128), nn.ReLU(), nn.Dense(128, 2 * CODE))
        self.decoder = nn.Sequential(nn.Dense(CODE, 128), nn.ReLU(), nn.Dense(128, PIXELS))
        self.rng = rng
        self.initialise(rng)

    def use_generator(self, rng: np.random.Generator) -> None:
        """Of the noise."""
        self.rng = rng

    def forward(self, x: Any, *, training: bool = False) -> Any:
        """Logits of the pixels."""
        mean, log_var = np.split(self.encoder(x, training=training), 2, axis=1)
        spread = np.exp(log_var / 2) * self.rng.standard_normal(mean.shape, dtype=mean.dtype)
        self.keep((mean, log_var, spread) if training else None)
        return self.decoder(mean + spread, training=training)

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Any:
        """That of the pixels' loss through the code, and that of the divergence."""
        mean, log_var, spread = self.kept()
        dz = self.decoder.backward(dy)
        _, dmean, dlog_var = nk.gaussian_kl_with_grad(mean, log_var)
        return self.encoder.backward(np.hstack([dz + dmean, dz * spread / 2 + dlog_var]), needs_dx=needs_dx)

    def evidence(self, x: Array) -> float:
        """The bound, with one code a digit."""
        mean, log_var = np.split(self.encoder(x), 2, axis=1)
        return -float(pixels(self(x), x)[0]) - float(nk.gaussian_kl(mean, log_var))


def pixels(logits: Array, x: Array) -> tuple[Any, Array]:
    """The cross-entropy of all pixels of a digit, and its gradient."""
    loss, gradient = nk.binary_cross_entropy_with_logits_with_grad(logits, x)
    return loss * PIXELS, gradient * PIXELS


def run(seed: int, quick: bool) -> Outcome:
    """Trains, and follows the bound on digits that were not seen."""
    epochs = QUICK if quick else EPOCHS
    images, labels = load_digits()
    x = (images.reshape(-1, PIXELS) / 16).astype(np.float32)
    rng = np.random.default_rng(seed)
    x_train, x_test, _, y_test = nn.train_test_split(x, labels, rng=rng)
    share = np.clip(x_train.mean(0), 1e-3, 1 - 1e-3)
    alone = -float(pixels(np.broadcast_to(np.log(share / (1 - share)), x_test.shape), x_test)[0])
    model = Variational(rng)
    bounds = [model.evidence(x_test)]
    print(f"nats a digit: pixels alone {alone:.2f}, before training {bounds[0]:.2f}")

    def follow(known: dict[str, Any]) -> None:
        bounds.append(model.evidence(x_test))
        if (known["epoch"] + 1) % (epochs // 5) == 0:
            print(f"epoch {known['epoch'] + 1:3}: {bounds[-1]:.2f}", flush=True)

    nn.fit(
        model,
        x_train,
        x_train,
        loss=pixels,
        optimiser=nn.Adam(2e-3),
        epochs=epochs,
        callbacks=[follow],
        rng=rng,
        progress=False,
    )
    sentence = (
        f"The evidence bound on digits held out rises from {bounds[1]:.2f} nats after one epoch to {bounds[-1]:.2f}; "
        f"pixels that know nothing of each other reach {alone:.2f}."
    )
    samples = nk.sigmoid(model.decoder(rng.standard_normal((24, CODE), dtype=np.float32)))
    ends = [np.flatnonzero(y_test == digit)[0] for digit in (0, 6, 3, 8, 1, 7)]
    return Outcome(
        sentence,
        bounds[-1] > max(alone + 1, bounds[1] + 1),
        lambda figure: draw(figure, bounds, alone, samples, between(model, x_test[ends])),
    )


def between(model: Variational, x: Array) -> Array:
    """Rows of digits on the way from x[0] to x[1], from x[2] to x[3] ..."""
    means = np.split(model.encoder(x), 2, axis=1)[0]
    way = np.linspace(0, 1, 12, dtype=np.float32)[:, None]
    codes = [(1 - way) * first + way * last for first, last in zip(means[::2], means[1::2], strict=True)]
    return nk.sigmoid(model.decoder(np.vstack(codes)))


def draw(figure: Any, bounds: list[float], alone: float, samples: Array, ways: Array) -> None:
    """The bound by epochs, digits from codes that were drawn, ways between digits."""
    left, right = figure.subfigures(1, 2)
    ax = left.subplots()
    ax.plot(bounds, label="held out")
    ax.axhline(alone, linestyle="--", color="black", linewidth=1, label="pixels alone")
    ax.set(title="evidence bound, nats a digit", xlabel="epoch")
    ax.legend()
    titles = "drawn codes", "from digit to digit"
    for ax, title, digits in zip(right.subplots(2, 1), titles, (samples, ways), strict=True):
        framed = np.pad(digits.reshape(-1, 12, 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1)))
        ax.imshow(framed.swapaxes(1, 2).reshape(-1, 120), cmap="gray_r", vmin=0, vmax=1)
        ax.set(title=title, xticks=[], yticks=[])


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    return command(run, __doc__ or "", arguments)


if __name__ == "__main__":
    sys.exit(main())
