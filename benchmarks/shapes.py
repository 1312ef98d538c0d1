"""The layers that are timed: those of named networks, with the batch sizes they are used at.

A layer is a name, its sizes, and `shape`, the sizes as the table prints them.
"""

from typing import NamedTuple


class Conv(NamedTuple):
    """Images (n, c, h, h) under `oc` filters of kernel x kernel, `groups` groups of channels."""

    name: str
    n: int
    c: int
    h: int
    oc: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1

    @property
    def shape(self):
        return f"({self.n}, {self.c}, {self.h}, {self.h}) -> {self.oc}, {self.kernel}x{self.kernel}/{self.stride}"


class Line(NamedTuple):
    """Signals (n, c, l) under `oc` filters of `kernel` elements, `groups` groups of channels."""

    name: str
    n: int
    c: int
    length: int
    oc: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1

    @property
    def shape(self):
        return f"({self.n}, {self.c}, {self.length}) -> {self.oc}, {self.kernel}/{self.stride}"


class Dense(NamedTuple):
    """Rows (n, k) times weights (units, k)."""

    name: str
    n: int
    k: int
    units: int

    @property
    def shape(self):
        return f"({self.n}, {self.k}) -> {self.units}"


class Product(NamedTuple):
    """`batch` products of (m, k) and (k, n)."""

    name: str
    batch: int
    m: int
    k: int
    n: int

    @property
    def shape(self):
        return f"({self.batch}, {self.m}, {self.k}) @ ({self.batch}, {self.k}, {self.n})"


class Pool(NamedTuple):
    """Maps (n, c, h, h) under windows of kernel x kernel."""

    name: str
    n: int
    c: int
    h: int
    kernel: int
    stride: int
    padding: int = 0

    @property
    def shape(self):
        return f"({self.n}, {self.c}, {self.h}, {self.h}), {self.kernel}x{self.kernel}/{self.stride}"


class Adaptive(NamedTuple):
    """Maps (n, c, h, h) pooled to `size`."""

    name: str
    n: int
    c: int
    h: int
    size: int | tuple[int, int]

    @property
    def shape(self):
        return f"({self.n}, {self.c}, {self.h}, {self.h}) to {self.size}"


class Sequence(NamedTuple):
    """Sequences (n, t, d) through a recurrent layer of h units."""

    name: str
    n: int
    t: int
    d: int
    h: int

    @property
    def shape(self):
        return f"({self.n}, {self.t}, {self.d}) -> {self.h}"


class Map(NamedTuple):
    """Maps (n, c, h, h)."""

    name: str
    n: int
    c: int
    h: int

    @property
    def shape(self):
        return f"({self.n}, {self.c}, {self.h}, {self.h})"


class Head(NamedTuple):
    """Logits (n, c)."""

    name: str
    n: int
    c: int

    @property
    def shape(self):
        return f"({self.n}, {self.c})"


class Heads(NamedTuple):
    """Queries (n, heads, lq, d), keys and values (n, heads, lk, d)."""

    name: str
    n: int
    heads: int
    lq: int
    lk: int
    d: int
    causal: bool = False

    @property
    def shape(self):
        return f"({self.n}, {self.heads}, {self.lq}, {self.d}), lk = {self.lk}{', causal' if self.causal else ''}"


class Table(NamedTuple):
    """n rows of a table (m, d)."""

    name: str
    n: int
    m: int
    d: int

    @property
    def shape(self):
        return f"({self.n},), ({self.m}, {self.d})"


class Rows(NamedTuple):
    """Rows x (n, d) and y (m, d), and how many of y are wanted."""

    name: str
    n: int
    m: int
    d: int
    k: int = 0

    @property
    def shape(self):
        return f"({self.n}, {self.d}), ({self.m}, {self.d})" + (f", k = {self.k}" if self.k else "")


class Cluster(NamedTuple):
    """n points of d features around k centres."""

    name: str
    n: int
    d: int
    k: int

    @property
    def shape(self):
        return f"({self.n}, {self.d}), k = {self.k}"


class Components(NamedTuple):
    """n samples of d features on k components."""

    name: str
    n: int
    d: int
    k: int

    @property
    def shape(self):
        return f"({self.n}, {self.d}) -> {self.k}"


class Flat(NamedTuple):
    """`size` values."""

    name: str
    size: int

    @property
    def shape(self):
        return f"({self.size},)"


CONV2D = [
    Conv("lenet conv1", 64, 1, 28, 6, 5, padding=2),
    Conv("lenet conv2", 64, 6, 14, 16, 5),
    Conv("cifar first 3x3", 128, 3, 32, 32, 3, padding=1),
    Conv("resnet50 conv1 7x7/2", 1, 3, 224, 64, 7, stride=2, padding=3),
    Conv("resnet50 conv2_x 1x1 reduce", 8, 256, 56, 64, 1),
    Conv("resnet50 conv2_x 3x3", 8, 64, 56, 64, 3, padding=1),
    Conv("resnet50 conv2_x 1x1 expand", 8, 64, 56, 256, 1),
    Conv("resnet50 conv3_x 3x3", 8, 128, 28, 128, 3, padding=1),
    Conv("resnet50 conv4_x 3x3", 8, 256, 14, 256, 3, padding=1),
    Conv("resnet50 conv5_x 3x3", 8, 512, 7, 512, 3, padding=1),
    Conv("vgg16 conv3_1", 1, 128, 56, 256, 3, padding=1),
    Conv("mobilenet v2 depthwise 3x3", 8, 144, 56, 144, 3, padding=1, groups=144),
    Conv("efficientnet b0 depthwise 5x5/2", 8, 144, 56, 144, 5, stride=2, padding=2, groups=144),
]

CONV1D = [
    Line("m5 conv1, raw audio", 8, 1, 16000, 32, 80, stride=4),
    Line("tcn 64 channels", 16, 64, 512, 64, 3, padding=1),
    Line("whisper tiny conv1", 1, 80, 3000, 384, 3, padding=1),
    Line("conformer depthwise", 8, 256, 500, 256, 31, padding=15, groups=256),
]

CONV_TRANSPOSE1D = [
    Line("dcgan of signals", 8, 64, 100, 32, 4, stride=2, padding=1),
    Line("hifi-gan upsampling", 2, 256, 50, 128, 16, stride=8, padding=4),
]

POOL1D = [
    Line("m5 pool1", 8, 32, 4000, 32, 4, 4),
    Line("tcn 3/2", 16, 128, 512, 128, 3, stride=2, padding=1),
    Line("short signals", 32, 512, 7, 512, 2, 2),
]

UNFOLD = [
    Conv("lenet conv2", 64, 6, 14, 16, 5),
    Conv("resnet50 conv3_x 3x3", 8, 128, 28, 128, 3, padding=1),
]

DENSE = [
    Dense("16 units, one sample", 1, 16, 16),
    Dense("lenet fc1", 64, 400, 120),
    Dense("mnist mlp", 64, 784, 512),
    Dense("resnet50 fc", 32, 2048, 1000),
    Dense("vgg16 fc2, one sample", 1, 4096, 4096),
    Dense("mlp 1024", 256, 1024, 1024),
    Dense("bert base attention", 512, 768, 768),
    Dense("bert base mlp", 512, 768, 3072),
]

MATMUL = [
    Product("bert base scores", 48, 128, 64, 128),
    Product("square 512", 1, 512, 512, 512),
]

SEQUENCES = [
    Sequence("words", 64, 64, 128, 256),
    Sequence("series", 32, 100, 22, 512),
    Sequence("stream", 1, 200, 64, 128),
]
POOL = [
    Pool("lenet 2x2", 64, 6, 28, 2, 2),
    Pool("cifar 2x2", 128, 32, 32, 2, 2),
    Pool("vgg16 pool1 2x2", 1, 64, 224, 2, 2),
    Pool("resnet50 3x3/2", 8, 64, 112, 3, 2, padding=1),
]

ADAPTIVE_POOL = [
    Adaptive("vgg16 head", 8, 512, 14, 7),
    Adaptive("pspnet 6x6", 2, 512, 60, 6),
    Adaptive("images of 224x224", 8, 3, 224, (3, 5)),
    Adaptive("7x7 to 6x6", 32, 512, 7, 6),
]

GLOBAL_POOL = [
    Pool("resnet50 head 7x7", 32, 2048, 7, 7, 7),
]

SOFTMAX = [
    Head("10 classes", 128, 10),
    Head("imagenet classes", 256, 1000),
    Head("bert base attention", 48 * 128, 128),
    Head("vocabulary of 32000", 256, 32000),
]

LOSS = [
    Head("10 classes", 128, 10),
    Head("imagenet classes", 256, 1000),
    Head("vocabulary of 32000", 256, 32000),
]

REGRESSION = [
    Flat("autoencoder of mnist", 128 * 784),
    Flat("u-net mask", 8 * 512 * 512),
]

BATCH_NORM = [
    Map("resnet50 conv2_x", 8, 64, 56),
    Map("cifar resnet", 64, 32, 32),
    Map("resnet50 conv4_x", 32, 256, 14),
    Map("resnet50 conv5_x", 32, 512, 7),
]

DROPOUT = [
    Flat("mnist mlp", 128 * 512),
    Flat("bert base", 8 * 512 * 768),
]

LAYER_NORM = [
    Head("bert base", 4096, 768),
]

CLUSTER = [
    Cluster("colours of an image", 500_000, 3, 16),
    Cluster("low dimension", 500_000, 8, 16),
    Cluster("mnist pixels", 60_000, 784, 100),
    Cluster("embeddings", 20_000, 128, 1024),
]

FIT = [
    Cluster("digits", 1797, 64, 10),
    Cluster("mnist", 5000, 784, 100),
    Cluster("low dimension", 500_000, 8, 16),
    Cluster("blobs", 100_000, 64, 256),
]

NEAREST = [
    Rows("points in space", 20_000, 100_000, 3, 8),
    Rows("descriptors", 10_000, 100_000, 128, 10),
    Rows("embeddings", 1000, 100_000, 768, 100),
]

PAIRS = [
    Rows("points in space", 2000, 5000, 3),
    Rows("descriptors", 2000, 5000, 128),
    Rows("embeddings", 1000, 2000, 768),
]

COMPONENTS = [
    Components("digits", 1797, 64, 16),
    Components("tall", 20_000, 256, 32),
    Components("few components of large data", 3000, 2000, 10),
]

ACTIVATION = [
    Flat("16 values", 16),
    Flat("in the cache", 1 << 14),
    Flat("resnet50 conv2_x map", 8 * 64 * 56 * 56),
]

GATED = [
    Map("resnet50 conv2_x", 8, 64, 56),
    Map("rows of 1024", 4096, 1024, 1),
]

CHANNELWISE = [
    Map("resnet50 conv2_x", 8, 64, 56),
    Map("resnet50 conv5_x", 32, 512, 7),
    Map("rows of 512", 4096, 512, 1),
]

OPTIM = [
    Flat("lenet fc1", 400 * 120),
    Flat("bert base mlp", 768 * 3072),
]

ATTENTION = [
    Heads("sentences", 8, 8, 128, 128, 64),
    Heads("transformer base", 1, 8, 512, 512, 64),
    Heads("decoder of 2048 tokens", 1, 8, 2048, 2048, 64, causal=True),
    Heads("one token after 8192", 1, 8, 1, 8192, 64),
    Heads("windows of 16", 256, 8, 16, 16, 16),
]

EMBEDDING = [
    Table("vocabulary of 32000", 8192, 32000, 512),
    Table("characters", 16384, 256, 64),
]
