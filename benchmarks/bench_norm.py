"""Normalisation at layers of named networks."""

import shapes
from engine import Operation
from rivals import aten, tensors, torch

import npkernels as nk
from npkernels import reference

EPS = 1e-5


class BatchNorm(Operation):
    layers, needs = shapes.BATCH_NORM, ("batch_norm",)

    def prepare(self, s):
        self.x, self.dy = (self.normal(s.n, s.c, s.h, s.h) for _ in range(2))
        self.gamma, self.beta = self.normal(s.c), self.normal(s.c)
        _, self.mean, self.var = nk.batch_norm(self.x, self.gamma, self.beta)

    def npkernels(self):
        return lambda: nk.batch_norm(self.x, self.gamma, self.beta)[0]

    def numpy(self):
        return lambda: reference.batch_norm(self.x, self.gamma, self.beta)[0]

    def torch(self):
        x, gamma, beta = tensors(self.x, self.gamma, self.beta)
        return lambda: torch.native_batch_norm(x, gamma, beta, None, None, True, 0.1, EPS)[0]


class BatchNormInference(BatchNorm):
    needs = ("batch_norm_inference",)

    def npkernels(self):
        return lambda: nk.batch_norm_inference(self.x, self.gamma, self.beta, self.mean, self.var)

    def numpy(self):
        return lambda: reference.batch_norm_inference(self.x, self.gamma, self.beta, self.mean, self.var)

    def torch(self):
        x, gamma, beta, mean, var = tensors(self.x, self.gamma, self.beta, self.mean, self.var)
        return lambda: torch.native_batch_norm(x, gamma, beta, mean, var, False, 0.1, EPS)[0]


class BatchNormBackward(BatchNorm):
    needs = ("batch_norm_backward",)

    def npkernels(self):
        return lambda: nk.batch_norm_backward(self.dy, self.x, self.gamma, self.mean, self.var)

    def numpy(self):
        return lambda: reference.batch_norm_backward(self.dy, self.x, self.gamma, self.mean, self.var)

    def torch(self):
        dy, x, gamma, mean = tensors(self.dy, self.x, self.gamma, self.mean)
        scale = torch.from_numpy(1 / (self.var + self.dtype.type(EPS)) ** 0.5)
        backward = aten.native_batch_norm_backward
        return lambda: backward(dy, x, gamma, None, None, mean, scale, True, EPS, [True, True, True])


class LayerNorm(Operation):
    layers, needs = shapes.LAYER_NORM, ("layer_norm",)

    def prepare(self, s):
        self.x, self.dy = self.normal(s.n, s.c), self.normal(s.n, s.c)
        self.gamma, self.beta = self.normal(s.c), self.normal(s.c)
        _, self.mean, self.var = nk.layer_norm(self.x, self.gamma, self.beta)

    def npkernels(self):
        return lambda: nk.layer_norm(self.x, self.gamma, self.beta)[0]

    def numpy(self):
        return lambda: reference.layer_norm(self.x, self.gamma, self.beta)[0]

    def torch(self):
        x, gamma, beta = tensors(self.x, self.gamma, self.beta)
        return lambda: torch.native_layer_norm(x, gamma.shape, gamma, beta, EPS)[0]


class LayerNormBackward(LayerNorm):
    needs = ("layer_norm_backward",)

    def npkernels(self):
        return lambda: nk.layer_norm_backward(self.dy, self.x, self.gamma, self.mean, self.var)

    def numpy(self):
        return lambda: reference.layer_norm_backward(self.dy, self.x, self.gamma, self.mean, self.var)

    def torch(self):
        dy, x, gamma, beta, mean = tensors(self.dy, self.x, self.gamma, self.beta, self.mean[:, None])
        scale = torch.from_numpy(1 / (self.var[:, None] + self.dtype.type(EPS)) ** 0.5)
        backward = aten.native_layer_norm_backward
        return lambda: backward(dy, x, gamma.shape, mean, scale, gamma, beta, [True, True, True])


def bench_norm(benchmark, contender):
    benchmark(contender)
