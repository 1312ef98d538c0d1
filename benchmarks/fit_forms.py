"""Fits the costs of the forms of convolution to times of random layers, and says how good the choices are.

    python benchmarks/fit_forms.py [--count 300] [--seed 0] [--dtype float32] [--worst 5] [--keep]

Every form that applies to a layer is timed on one thread. Prints the time of the form that is chosen over that of the
best one, and (unless --keep) the constants `NS` of kernels/conv/costs.pyx as these times would have them.
"""

import argparse
import time

import numpy as np
from scipy.optimize import least_squares

import npkernels as nk
from npkernels._kernels import conv as _conv, costs as _costs, forms as _forms
from npkernels.conv.geometry import geometry_of

Y, DX, DEPTHWISE = ("flat", "patches", "lanes", "images", "winograd"), ("columns", "phases"), ("rows", "pixels")
FLOP, BYTES = (2e5, 4e8), 60e6


class Layer:
    """A random layer within the limits, log-uniform in all its sizes."""

    def __init__(self, rng, dtype, depthwise):
        while True:
            n, c, oc, h, w = (int(2 ** rng.uniform(0, most)) for most in (6, 9, 9, 8.5, 8.5))
            kh, kw = (int(rng.choice([1, 1, 2, 3, 3, 3, 4, 5, 7, 11])) for _ in range(2))
            kw = kh if rng.random() < 0.8 else kw
            stride, dilation = int(rng.choice([1, 1, 1, 2, 2, 3, 5, 7])), int(rng.choice([1, 1, 1, 1, 2, 4]))
            padding = int(rng.integers(0, (max(kh, kw) - 1) * dilation // 2 + 1))
            self.groups = c if depthwise else 1
            shapes = (n, c, h, w), (c if depthwise else oc, 1 if depthwise else c, kh, kw)
            try:
                self.geometry = g = geometry_of(h, w, kh, kw, stride, padding, dilation)
            except ValueError:
                continue
            flop = 2 * n * np.prod(shapes[1]) * g.oh * g.ow
            sizes = n * shapes[1][0] * g.oh * g.ow + np.prod(shapes[0])
            if FLOP[0] <= flop <= FLOP[1] and sizes * np.dtype(dtype).itemsize <= BYTES:
                break
        self.name = f"{shapes[0]} * {shapes[1]} stride {stride} dilation {dilation} padding {padding}"
        self.x, self.w = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
        self.dy = rng.standard_normal((n, shapes[1][0], g.oh, g.ow)).astype(dtype)
        self.y, self.dx = np.empty_like(self.dy), np.empty_like(self.x)
        self.parts = n if depthwise else n * self.groups  # that a cost is of

    def described(self):
        return self.x, self.w, self.y, self.geometry, self.groups

    def calls(self, forms, result):
        """The call of each form of y or dx that applies, and that of the choice."""
        for name in forms:
            form = _costs.FORMS[name]
            if _forms.chosen(*self.described(), form)[result == "dx"] == form:
                yield name, self.call(result, form)
        yield "any", self.call(result, _costs.FORMS["any"])

    def call(self, result, form):
        if result == "y":
            return lambda: _conv.forward(self.x, self.w, None, self.y, self.geometry, self.groups, -1, form)
        return lambda: _conv.image_gradient(self.dy, self.w, None, self.dx, self.geometry, self.groups, form)


def best_times(calls, rounds=7):
    """Nanoseconds of each call, interleaved."""
    best = dict.fromkeys(calls, np.inf)
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            best[name] = min(best[name], 1e9 * (time.perf_counter() - start))
    return best


def fitted(form, samples):
    """ns of the counts of a form, of least error of the logarithm of their sum; what is counted nowhere stays."""
    names = _costs.NS[form]
    old = np.array(list(names.values()))
    counts = np.array([_costs.counts(*layer.described(), form) for layer, _ in samples])
    times = np.log([took / layer.parts for layer, took in samples])
    beside = np.zeros(len(samples))
    if form == "phases":  # what its convolutions take
        beside += [_forms.cost_by_phases(*layer.described()) for layer, _ in samples] - counts @ old

    def errors(values):
        return np.log(beside + counts @ np.exp(values) + 1e-9) - times

    found = least_squares(errors, np.log(np.maximum(old, 1e-3)), bounds=(-9, 9), loss="soft_l1", f_scale=0.3)
    print(f"{form}: {len(samples)} layers, median error of the cost {np.exp(np.median(abs(found.fun))):.2f} times")
    values = np.where(counts.any(axis=0), np.exp(found.x), old)
    return {name: float(f"{value:.3g}") for name, value in zip(names, values, strict=True)}


def print_choices(results, worst):
    """How much longer the choice takes than the best form."""
    for title, layers in results.items():
        losses = sorted(((times["any"] / min(times.values()), name, times) for name, times in layers), reverse=True)
        loss = np.array([each[0] for each in losses])
        print(
            f"{title}: {len(loss)} layers, chosen over best: median {np.median(loss):.3f}, mean {loss.mean():.3f}, "
            f"95 % {np.quantile(loss, 0.95):.2f}"
        )
        for each, name, times in losses[:worst]:
            took = ", ".join(f"{form} {ns / 1e6:.3f}" for form, ns in times.items())
            print(f"    {each:.2f} {name}: {took} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=300, help="layers that are drawn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--worst", type=int, default=5, help="layers of the worst choices that are printed")
    parser.add_argument("--keep", action="store_true", help="time the choices only")
    options = parser.parse_args()
    nk.set_num_threads(1)
    rng = np.random.default_rng(options.seed)
    samples = {form: [] for form in (*Y, *DX, *DEPTHWISE)}
    results = {"y": [], "dx": [], "depthwise y": []}
    for i in range(options.count):
        depthwise = i % 5 == 4
        layer = Layer(rng, options.dtype, depthwise)
        for result, forms in (("y", DEPTHWISE),) if depthwise else (("y", Y), ("dx", DX)):
            times = best_times(dict(layer.calls(forms, result)))
            results["depthwise y" if depthwise else result].append((layer.name, times))
            for form in forms:
                if form in times:
                    samples[form].append((layer, times[form]))
        if not options.keep:
            layer.dy = layer.dx = None  # what described() does not need
    print_choices(results, options.worst)
    if not options.keep:
        for form, of in samples.items():
            for name, value in fitted(form, of).items():
                print(f'        "{name}": {value},')


if __name__ == "__main__":
    main()
