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


class GroupNorm(BatchNorm):
    """32 groups, or one channel each where there are no more."""

    needs = ("group_norm",)

    def prepare(self, s):
        super().prepare(s)
        self.sizes = s.n, s.c, s.h**2, min(s.c, 32)
        _, self.mean, self.var = nk.group_norm(self.x, self.sizes[-1], self.gamma, self.beta, eps=EPS)

    def npkernels(self):
        return lambda: nk.group_norm(self.x, self.sizes[-1], self.gamma, self.beta)[0]

    def numpy(self):
        return lambda: reference.group_norm(self.x, self.sizes[-1], self.gamma, self.beta)[0]

    def torch(self):
        x, gamma, beta = tensors(self.x, self.gamma, self.beta)
        return lambda: aten.native_group_norm(x, gamma, beta, *self.sizes, EPS)[0]


class GroupNormBackward(GroupNorm):
    needs = ("group_norm_backward",)

    def npkernels(self):
        given = self.dy, self.x, self.sizes[-1], self.gamma, self.mean, self.var
        return lambda: nk.group_norm_backward(*given)

    def numpy(self):
        given = self.dy, self.x, self.sizes[-1], self.gamma, self.mean, self.var
        return lambda: reference.group_norm_backward(*given)

    def torch(self):
        dy, x, gamma, mean = tensors(self.dy, self.x, self.gamma, self.mean)
        scale = torch.from_numpy(1 / (self.var + self.dtype.type(EPS)) ** 0.5)
        return lambda: aten.native_group_norm_backward(dy, x, mean, scale, gamma, *self.sizes, [True, True, True])


class RmsNorm(LayerNorm):
    needs = ("rms_norm",)

    def npkernels(self):
        return lambda: nk.rms_norm(self.x, self.gamma)[0]

    def numpy(self):
        return lambda: reference.rms_norm(self.x, self.gamma)[0]

    def torch(self):
        x, gamma = tensors(self.x, self.gamma)
        return lambda: torch.rms_norm(x, gamma.shape, gamma)


def bench_norm(benchmark, contender):
    benchmark(contender)
