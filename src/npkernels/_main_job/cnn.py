"""A small convolutional network on the digits, forward and backward written out kernel by kernel."""

import numpy as np

import npkernels as nk

EPOCHS, BATCH, LEARNING_RATE, WANTED = 20, 32, 0.05, 0.97


def parameters(rng):
    """Weights of variance 2 / fan-in (He et al., 2015) and biases 0."""
    shapes = {"w1": (32, 1, 3, 3), "w2": (64, 32, 3, 3), "w3": (10, 64 * 2 * 2)}
    p = {}
    for name, shape in shapes.items():
        p[name] = (rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)
        p[name.replace("w", "b")] = np.zeros(shape[0], np.float32)
    return p


def forward(p, x):
    """x (n, 1, 8, 8) -> every intermediate result by name, the last one logits (n, 10)."""
    a = {"x": x}
    a["conv1"] = nk.conv2d(x, p["w1"], p["b1"], padding=1)  # (n, 32, 8, 8)
    a["relu1"] = nk.relu(a["conv1"])
    a["pool1"], a["index1"] = nk.max_pool2d(a["relu1"], 2, return_indices=True)  # (n, 32, 4, 4)
    a["conv2"] = nk.conv2d(a["pool1"], p["w2"], p["b2"], padding=1)  # (n, 64, 4, 4)
    a["relu2"] = nk.relu(a["conv2"])
    a["pool2"], a["index2"] = nk.max_pool2d(a["relu2"], 2, return_indices=True)  # (n, 64, 2, 2)
    a["flat"] = a["pool2"].reshape(len(x), -1)
    a["logits"] = nk.dense(a["flat"], p["w3"], p["b3"])
    return a


def backward(p, a, dlogits):
    """The gradient of every parameter, each line the adjoint of a line of `forward`, last one first."""
    d = {}
    dflat, d["w3"], d["b3"] = nk.dense_backward(dlogits, a["flat"], p["w3"])
    dpool2 = dflat.reshape(a["pool2"].shape)
    drelu2 = nk.max_pool2d_backward(dpool2, a["index2"], (4, 4))
    dconv2 = nk.relu_backward(drelu2, a["conv2"])
    dpool1, d["w2"], d["b2"] = nk.conv2d_backward(dconv2, a["pool1"], p["w2"], padding=1)
    drelu1 = nk.max_pool2d_backward(dpool1, a["index1"], (8, 8))
    dconv1 = nk.relu_backward(drelu1, a["conv1"])
    _, d["w1"], d["b1"] = nk.conv2d_backward(dconv1, a["x"], p["w1"], padding=1, needs=("w", "b"))
    return d


def shifted(x, rng):
    """Half of the batches moved by up to one pixel: x (n, 1, 8, 8) seen through a window of its padded self."""
    row, column = rng.integers(0, 3, 2) if rng.random() < 0.5 else (1, 1)
    return np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))[:, :, row : row + 8, column : column + 8]


def run(images, labels, rng, epochs):
    """Trains on four fifths, prints the accuracy on the rest; returns a sentence if it is too low."""
    x = (images[:, None] / 16).astype(np.float32)
    order = rng.permutation(len(x))
    held_out, train = order[: len(x) // 5], order[len(x) // 5 :]
    print(
        f"A CNN (conv, relu, max pool, conv, relu, max pool, dense) on {len(train)} digits, {len(held_out)} held out.\n"
    )
    p = parameters(rng)
    velocity = {name: np.zeros_like(value) for name, value in p.items()}
    accuracy = 0.0
    for epoch in range(epochs):
        losses, lr = [], LEARNING_RATE * (1 - epoch / epochs)
        order = rng.permutation(train)
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            a = forward(p, shifted(x[batch], rng))
            loss, dlogits = nk.softmax_cross_entropy_with_grad(a["logits"], labels[batch], label_smoothing=0.1)
            for name, gradient in backward(p, a, dlogits).items():
                nk.momentum_step(p[name], gradient, velocity[name], lr=lr, momentum=0.9, weight_decay=1e-4)
            losses.append(float(loss))
        accuracy = float((forward(p, x[held_out])["logits"].argmax(1) == labels[held_out]).mean())
        print(f"epoch {epoch + 1:3}/{epochs}   loss {np.mean(losses):.4f}   held out {accuracy:7.2%}", flush=True)
    if accuracy < WANTED:
        return [f"the network classifies {accuracy:.2%} of the held-out digits correctly, less than {WANTED:.0%}"]
    return []
