"""Losses of elements with their gradients, at the outputs of named networks."""

import shapes
from engine import Operation
from rivals import F, tensors, torch

import npkernels as nk
from npkernels import reference


class Loss(Operation):
    """The mean loss and its gradient; prediction and target are the operands x and y."""

    def prepare(self, s):
        self.x, self.y = self.normal(s.size), self.rng.random(s.size, self.dtype)

    def of(self, library):
        function = getattr(library, self.name)
        return lambda: function(self.x, self.y)

    def npkernels(self):
        return self.of(nk)

    def numpy(self):
        return self.of(reference)

    def torch(self):
        x, y = tensors(self.x, self.y)
        function = getattr(F, self.name.removesuffix("_with_grad"))
        x.requires_grad_()

        def call():
            x.grad = None
            loss = function(x, y)
            loss.backward()
            return loss, x.grad

        return call


class MseLossWithGrad(Loss):
    layers, needs = shapes.REGRESSION, ("mse_loss_with_grad",)


class HuberLossWithGrad(Loss):
    layers, needs = shapes.REGRESSION, ("huber_loss_with_grad",)


class BinaryCrossEntropyWithLogitsWithGrad(Loss):
    layers, needs = shapes.REGRESSION, ("binary_cross_entropy_with_logits_with_grad",)


class SigmoidFocalLossWithGrad(Loss):
    layers, needs = shapes.REGRESSION, ("sigmoid_focal_loss_with_grad",)

    def torch(self):
        """The formula of torchvision."""
        x, y = tensors(self.x, self.y)
        x.requires_grad_()

        def call():
            x.grad = None
            p, entropy = torch.sigmoid(x), F.binary_cross_entropy_with_logits(x, y, reduction="none")
            focal = entropy * (1 - (p * y + (1 - p) * (1 - y))) ** 2 * (0.25 * y + 0.75 * (1 - y))
            focal.sum().backward()
            return focal, x.grad

        return call


class Rows(Operation):
    """Losses of rows (n, c); the operands are those of the call."""

    layers = shapes.LOSS

    def of(self, library):
        function = getattr(library, self.name)
        return lambda: function(*self.operands)

    def npkernels(self):
        return self.of(nk)

    def numpy(self):
        return self.of(reference)

    def torch(self):
        operands = tensors(*self.operands)
        leaves = [x.requires_grad_() for x in operands if x.is_floating_point()]
        function = getattr(F, self.name.removesuffix("_with_grad"))

        def call():
            for leaf in leaves:
                leaf.grad = None
            loss = function(*operands)
            loss.backward()
            return [loss, *(leaf.grad for leaf in leaves)]

        return call


class NllLossWithGrad(Rows):
    needs = ("nll_loss_with_grad",)

    def prepare(self, s):
        self.operands = [self.normal(s.n, s.c), self.rng.integers(s.c, size=s.n)]


class MultiMarginLossWithGrad(NllLossWithGrad):
    needs = ("multi_margin_loss_with_grad",)


class TripletMarginLossWithGrad(Rows):
    needs = ("triplet_margin_loss_with_grad",)

    def prepare(self, s):
        self.operands = [self.normal(s.n, s.c) for _ in range(3)]


class GaussianKlWithGrad(Rows):
    needs = ("gaussian_kl_with_grad",)

    def prepare(self, s):
        self.operands = [self.normal(s.n, s.c) for _ in range(2)]

    def torch(self):
        mean, log_var = (x.requires_grad_() for x in tensors(*self.operands))

        def call():
            mean.grad = log_var.grad = None
            loss = 0.5 * (log_var.exp() + mean.square() - 1 - log_var).sum() / len(mean)
            loss.backward()
            return loss, mean.grad, log_var.grad

        return call


class CosineSimilarity(Rows):
    needs = ("cosine_similarity",)

    def prepare(self, s):
        self.operands = [self.normal(s.n, s.c) for _ in range(2)]

    def torch(self):
        a, b = tensors(*self.operands)
        return lambda: F.cosine_similarity(a, b, -1)


class CosineSimilarityBackward(Rows):
    needs = ("cosine_similarity_backward",)

    def prepare(self, s):
        self.operands = [self.normal(s.n), *(self.normal(s.n, s.c) for _ in range(2))]

    def torch(self):
        dy, a, b = tensors(*self.operands)
        a.requires_grad_()
        b.requires_grad_()
        c = F.cosine_similarity(a, b, -1)

        def call():
            a.grad = b.grad = None
            c.backward(dy, retain_graph=True)
            return a.grad, b.grad

        return call


def bench_loss(benchmark, contender):
    benchmark(contender)
