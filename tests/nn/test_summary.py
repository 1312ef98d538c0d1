"""The table of layers."""

import npkernels as nk
from npkernels import nn


def test_the_table_of_a_network():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Residual(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm(4)), activation="relu"),
        nn.Flatten(), head=nn.Dense(64, 10),
    )  # fmt: skip
    assert (
        model.summary((1, 8, 8))
        == """\
name      layer      output shape  parameters  multiply-adds  receptive field
-----------------------------------------------------------------------------
0         Conv2d     (4, 8, 8)             40          2,304            3 x 3
1         ReLU       (4, 8, 8)              0              0            3 x 3
2         MaxPool2d  (4, 4, 4)              0              0            4 x 4
3.body.0  Conv2d     (4, 4, 4)            148          2,304            8 x 8
3.body.1  BatchNorm  (4, 4, 4)              8             64            8 x 8
3         Residual   (4, 4, 4)              0              0            8 x 8
4         Flatten    (64,)                  0              0
head      Dense      (10,)                650            640
-----------------------------------------------------------------------------
total                                     846          5,312"""
    )


def test_receptive_fields_are_those_of_nk():
    layers = [(7, 2, 3), (3, 2, 1), (5, 1, 2), (3, 2, 1)]
    model = nn.Sequential(*(nn.Conv2d(1, 1, *each) for each in layers))
    size = nk.receptive_field(layers).size
    assert model.summary((1, 64, 64)).splitlines()[5].endswith(f"{size} x {size}")
    flat = nn.Sequential(nn.Conv1d(1, 1, 3, dilation=2), nn.Conv1d(1, 1, 3, stride=2))
    assert flat.summary((1, 20)).splitlines()[3].endswith("7 x 1")


def test_the_receptive_field_of_branches_is_the_widest_along_each_axis():
    branches = nn.Conv2d(1, 2, (7, 1), padding=(3, 0)), nn.Conv2d(1, 2, (1, 7), padding=(0, 3))
    lines = nn.Sequential(nn.Parallel(*branches), nn.Conv2d(4, 1, 3)).summary((1, 20, 20)).splitlines()
    assert [line.split("  ")[-1].strip() for line in lines[2:6]] == ["7 x 1", "1 x 7", "7 x 7", "9 x 9"]


def test_multiply_adds():
    counts = {
        nn.Dense(6, 5): ((3, 6), 90),
        nn.Conv2d(4, 6, 3, groups=2): ((4, 5, 5), 9 * 6 * 18),
        nn.ConvTranspose2d(4, 6, 2, 2): ((4, 5, 5), 25 * 4 * 24),
        nn.Conv1d(4, 6, 3): ((4, 10), 8 * 72),
        nn.LSTM(3, 5, bidirectional=True): ((7, 3), 7 * 2 * 20 * 8),
    }
    for layer, (shape, count) in counts.items():
        assert layer.summary(shape).splitlines()[-1].split()[-1] == f"{count:,}"


def test_layers_of_ones_own_are_in_it():
    class Own(nn.Layer):
        def __init__(self):
            self.dense = nn.Dense(3, 2)

        def forward(self, x, *, training=False):
            return self.dense(x, training=training)

    assert nn.Sequential(Own()).summary((3,)).splitlines()[2].split() == ["0", "Own", "(2,)", "8", "0"]
