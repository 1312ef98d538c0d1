"""One step of training of whole networks: forward, loss, backward, optimiser, beside PyTorch's eager mode.

`python benchmarks/bench_training.py --threads 2` prints the table with memory and page faults of a step.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import engine
import numpy as np
import rivals
from rivals import F, torch

import npkernels as nk
from npkernels import nn

RATE = 1e-6  # of learning: the loss stays what it is from call to call
WARM, STEPS = 5, 10  # steps before memory and page faults are counted, and while they are


def conv(inputs, outputs, **options):
    return "Conv2d", (inputs, outputs, 3), {"padding": 1, **options}


def vgg(channels, width):
    """Pairs of convolutions, each pair with a pooling behind it; two dense layers."""
    layers, before = [], 3
    for count in channels:
        for inputs in (before, count):
            layers += [conv(inputs, count), ("ReLU",)]
        layers.append(("MaxPool2d", (2,)))
        before = count
    return [*layers, ("Flatten",), ("Dense", (before * 16, width)), ("ReLU",), ("Dense", (width, 10))]


def resnet(blocks):
    """6 blocks + 2 layers (He et al., 2015, section 4.2), with 1x1 convolutions as shortcuts where shapes change."""
    layers, before = [conv(3, 16, bias=False), ("BatchNorm", (16,)), ("ReLU",)], 16
    for count in (16, 32, 64):
        for block in range(blocks):
            stride = 2 if count != before and block == 0 else 1
            body = [conv(before, count, stride=stride, bias=False), ("BatchNorm", (count,)), ("ReLU",)]
            body += [conv(count, count, bias=False), ("BatchNorm", (count,))]
            shortcut = [("Conv2d", (before, count, 1), {"stride": stride, "bias": False}), ("BatchNorm", (count,))]
            layers.append(("Residual", body, shortcut if before != count else None))
            before = count
    return [*layers, ("GlobalAvgPool2d",), ("Dense", (64, 10))]


LENET = [
    ("Conv2d", (1, 6, 5), {"padding": 2}), ("ReLU",), ("MaxPool2d", (2,)),
    ("Conv2d", (6, 16, 5)), ("ReLU",), ("MaxPool2d", (2,)), ("Flatten",),
    ("Dense", (400, 120)), ("ReLU",), ("Dense", (120, 84)), ("ReLU",), ("Dense", (84, 10)),
]  # fmt: skip
MLP = [("Dense", (784, 512)), ("ReLU",), ("Dense", (512, 512)), ("ReLU",), ("Dense", (512, 10))]
LSTM = [("LSTM", (64, 128)), ("Dense", (128, 10))]
NETWORKS = [
    SimpleNamespace(name="LeNet", shape=(64, 1, 28, 28), layers=LENET),
    SimpleNamespace(name="VGG of CIFAR", shape=(64, 3, 32, 32), layers=vgg((64, 128, 256), 512)),
    SimpleNamespace(name="ResNet-20", shape=(64, 3, 32, 32), layers=resnet(3)),
    SimpleNamespace(name="MLP", shape=(128, 784), layers=MLP),
    SimpleNamespace(name="LSTM", shape=(64, 50, 64), layers=LSTM),
]


def ours(layers):
    """The network of npkernels.nn."""
    return nn.Sequential(*(our_layer(*layer) for layer in layers))


def our_layer(kind, arguments=(), options=None):
    if kind == "Residual":
        return nn.Residual(ours(arguments), ours(options) if options else None, activation="relu")
    options = {"return_sequences": False} if kind == "LSTM" else options or {}
    return getattr(nn, kind)(*arguments, **options)


def theirs(layers):
    """The same of torch.nn; layers have the same names."""
    return torch.nn.Sequential(*(their_layer(*layer) for layer in layers))


def their_layer(kind, arguments=(), options=None):
    if kind == "Residual":
        return their_residual()(theirs(arguments), theirs(options) if options else None)
    if kind == "LSTM":
        return their_last_step()(*arguments)
    if kind == "GlobalAvgPool2d":
        return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    return getattr(torch.nn, {"Dense": "Linear", "BatchNorm": "BatchNorm2d"}.get(kind, kind))(
        *arguments, **(options or {})
    )


def their_residual():
    class Residual(torch.nn.Module):
        def __init__(self, body, shortcut):
            super().__init__()
            self.body, self.shortcut = body, shortcut

        def forward(self, x):
            return F.relu(self.body(x) + (x if self.shortcut is None else self.shortcut(x)))

    return Residual


def their_last_step():
    class LastStep(torch.nn.LSTM):
        def __init__(self, *sizes):
            super().__init__(*sizes, batch_first=True)

        def forward(self, x):
            return super().forward(x)[0][:, -1]

    return LastStep


class TrainingStep(engine.Operation):
    """A step with momentum; the outcome is the loss before it."""

    layers = NETWORKS

    def prepare(self, network):
        self.x, self.y = self.normal(*network.shape), self.rng.integers(0, 10, network.shape[0])
        start = ours(network.layers)
        start.initialise(0)
        self.weights = start.state_dict()

    def npkernels(self):
        if self.dtype != np.float32:
            return None
        model, optimiser = ours(self.layer.layers), nn.SGD(RATE, momentum=0.9)
        model.load_state_dict(self.weights)

        def call():
            loss, gradient = nk.softmax_cross_entropy_with_grad(model(self.x, training=True), self.y)
            model.backward(gradient, needs_dx=False)
            optimiser.step(model)
            return loss

        return call

    def torch(self):
        if self.dtype != np.float32:
            return None
        model = theirs(self.layer.layers)
        model.load_state_dict({name: torch.from_numpy(array) for name, array in self.weights.items()}, strict=False)
        optimiser = torch.optim.SGD(model.parameters(), RATE, momentum=0.9)
        x, y = torch.from_numpy(self.x), torch.from_numpy(self.y)

        def call():
            optimiser.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimiser.step()
            return loss

        return call

    def facts(self, result):
        return {"loss": float(result)}


def bench_training(benchmark, contender):
    benchmark(contender)


def resident(field):
    """Bytes of this process's memory: "VmRSS" now, "VmHWM" at its peak."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(field))


def memory(name, rival, threads):
    """Of one network in this process: bytes at the peak of steps beyond those before the network was made, and page
    faults of a step."""
    rivals.set_threads(threads)
    network = next(network for network in NETWORKS if network.name == name)
    step = TrainingStep(network)
    small = getattr(TrainingStep(SimpleNamespace(name="", shape=(8, 784), layers=MLP)), rival)()
    small()  # what a library loads with its first step is no memory of the network
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    call = getattr(step, rival)()
    for _ in range(WARM):
        call()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(STEPS):
        call()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    return {"peak": resident("VmHWM") - before, "faults": faults / STEPS}


def in_a_process_of_its_own(name, rival, threads):
    command = [sys.executable, __file__, "--memory", name, rival, "--threads", str(threads)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=3.0, help="at most, for each network and library")
    parser.add_argument("--memory", nargs=2, metavar=("NETWORK", "RIVAL"), help="of one network only, as JSON")
    options = parser.parse_args()
    if options.memory:
        print(json.dumps(memory(*options.memory, options.threads)))
        return
    rivals.set_threads(options.threads)
    print(f"{'network':14} {'npkernels':>10} {'torch':>10} {'ratio':>6}   {'MB':>6} {'MB':>6}   faults a step")
    ratios = []
    for network in NETWORKS:
        step = TrainingStep(network, threads=options.threads)
        calls = step.contenders()
        for name, call in calls.items():
            step.check(name, call)
        best = engine.measure(calls, options.rounds, options.seconds)
        ratios.append(best["torch"] / best["npkernels"])
        use = [in_a_process_of_its_own(network.name, name, options.threads) for name in ("npkernels", "torch")]
        print(
            f"{network.name:14} {best['npkernels'] * 1e3:7.2f} ms {best['torch'] * 1e3:7.2f} ms {ratios[-1]:6.2f}   "
            f"{use[0]['peak'] / 1e6:6.0f} {use[1]['peak'] / 1e6:6.0f}   {use[0]['faults']:.0f} {use[1]['faults']:.0f}",
            flush=True,
        )
    print(f"geometric mean {math.prod(ratios) ** (1 / len(ratios)):.2f}")


if __name__ == "__main__":
    main()
