"""Attention at heads of named models."""

import shapes
from engine import Operation
from rivals import F, tensors, torch

import npkernels as nk
from npkernels import reference


class Attention(Operation):
    layers, needs = shapes.ATTENTION, ("attention",)

    def prepare(self, s):
        self.q = self.normal(s.n, s.heads, s.lq, s.d)
        self.k, self.v = (self.normal(s.n, s.heads, s.lk, s.d) for _ in range(2))

    def flop(self):
        s = self.layer
        return (2 if s.causal else 4) * s.n * s.heads * s.lq * s.lk * s.d

    def npkernels(self):
        return lambda: nk.attention(self.q, self.k, self.v, causal=self.layer.causal)[0]

    def numpy(self):
        return lambda: reference.attention(self.q, self.k, self.v, causal=self.layer.causal)[0]

    def torch(self):
        q, k, v = tensors(self.q, self.k, self.v)

        def call():
            with torch.no_grad():
                return F.scaled_dot_product_attention(q, k, v, is_causal=self.layer.causal)

        return call


class AttentionTraining(Attention):
    """Forward and backward."""

    needs = ("attention", "attention_backward")

    def prepare(self, s):
        super().prepare(s)
        self.dy = self.normal(s.n, s.heads, s.lq, s.d)

    def flop(self):
        return 3.5 * super().flop()

    def npkernels(self):
        def call():
            y, tape = nk.attention(self.q, self.k, self.v, causal=self.layer.causal, training=True)
            return y, *nk.attention_backward(self.dy, tape)

        return call

    def numpy(self):
        def call():
            y, tape = reference.attention(self.q, self.k, self.v, causal=self.layer.causal, training=True)
            return y, *reference.attention_backward(self.dy, tape)

        return call

    def torch(self):
        leaves = [leaf.requires_grad_() for leaf in tensors(self.q, self.k, self.v)]
        (dy,) = tensors(self.dy)

        def call():
            y = F.scaled_dot_product_attention(*leaves, is_causal=self.layer.causal)
            return y, *torch.autograd.grad(y, leaves, dy)

        return call


def bench_attention(benchmark, contender):
    benchmark(contender)
