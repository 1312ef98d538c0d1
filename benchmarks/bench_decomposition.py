"""Principal components of samples."""

import numpy as np
import shapes
from engine import Operation
from rivals import intelex_decomposition, sklearn_decomposition

import npkernels as nk
from npkernels.data import load_digits


class PcaFit(Operation):
    layers, needs = shapes.COMPONENTS, ("PCA",)

    def prepare(self, s):
        if s.name == "digits":
            self.x = load_digits()[0].reshape(s.n, s.d).astype(self.dtype)
        else:  # variances that fall by a third over the components wanted
            share = np.exp(-0.2 * np.arange(s.d) / s.k).astype(self.dtype)
            self.x = self.normal(s.n, s.d) * share

    def outcome(self, result):
        """The variance that the components explain: they may be turned where variances are close."""
        components = np.asarray(result, np.float64)
        projected = (self.x - self.x.mean(0, dtype=np.float64)) @ components.T
        return [np.array(np.sqrt(projected.var(0).sum())).round(1)]

    def npkernels(self):
        return lambda: nk.PCA(self.layer.k, random_state=0).fit(self.x).components_

    def sklearn(self):
        return lambda: sklearn_decomposition.PCA(self.layer.k, random_state=0).fit(self.x).components_

    def intelex(self):
        return lambda: intelex_decomposition.PCA(self.layer.k, random_state=0).fit(self.x).components_


def bench_decomposition(benchmark, contender):
    benchmark(contender)
