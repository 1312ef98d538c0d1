"""Augmentation: each image is one of the images that the definition allows, in the right proportions."""

import numpy as np
import pytest

from npkernels import nn
from npkernels.nn import augment

TRANSFORMS = {
    "flip": augment.RandomFlip(0.5, 0.5),
    "crop": augment.RandomCrop(6, padding=((1, 0), (2, 1))),
    "affine": augment.RandomAffine(20, 0.1, (0.8, 1.2), 10),
    "compose": augment.Compose(augment.RandomFlip(), augment.RandomCrop((5, 6), 1), augment.RandomAffine(5)),
}


@pytest.fixture
def images(rng):
    return rng.standard_normal((40, 2, 6, 8))


def sampler():
    return np.random.default_rng(5)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_same_draws_for_any_threads_and_layout(same_for_any_threads, images, layouts, dtype, name):
    x = images.astype(dtype)
    before = x.copy()
    y = same_for_any_threads(lambda: TRANSFORMS[name](x, sampler()))
    assert y.dtype == dtype
    assert len(y) == len(x)
    np.testing.assert_array_equal(x, before)
    for other in layouts(x):
        np.testing.assert_array_equal(TRANSFORMS[name](other, sampler()), y)
    assert TRANSFORMS[name](x[:0], sampler()).shape == (0, *y.shape[1:])
    assert not np.array_equal(TRANSFORMS[name](x, np.random.default_rng(6)), y)


def test_flips_are_the_four_mirror_images(images):
    y = augment.RandomFlip(0.25, 0.75)(np.repeat(images[:1], 4000, 0), sampler())
    x, counts = images[0], []
    for down in (False, True):
        for across in (False, True):
            wanted = x[:, :: -1 if down else 1, :: -1 if across else 1]
            counts.append((y == wanted).all((1, 2, 3)).sum())
    assert sum(counts) == 4000
    np.testing.assert_allclose(np.array(counts) / 4000, [3 / 16, 1 / 16, 9 / 16, 3 / 16], atol=0.03)
    assert augment.RandomFlip(0, 0)(images, sampler()) is images


def test_crops_are_windows_of_the_padded_image(images):
    x = np.repeat(images[:1], 500, 0)
    y = augment.RandomCrop((5, 8), padding=((1, 2), (0, 3)))(x, sampler())
    padded = np.pad(images[0], ((0, 0), (1, 2), (0, 3)))
    found = {
        (top, left): (y == padded[:, top : top + 5, left : left + 8]).all((1, 2, 3)).sum()
        for top in range(5)
        for left in range(4)
    }
    assert sum(found.values()) == 500
    assert min(found.values()) > 5
    np.testing.assert_array_equal(augment.RandomCrop((6, 8))(images, sampler()), images)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_right_angles_turn_counter_clockwise(rng, turns):
    x = rng.standard_normal((3, 2, 7, 7))
    y = augment.RandomAffine((90 * turns, 90 * turns))(x, sampler())
    np.testing.assert_allclose(y, np.rot90(x, turns, (2, 3)), atol=1e-13)


def test_moves_scales_and_shears():
    x = np.zeros((200, 1, 9, 13))
    x[:, :, 4, 6] = 1  # a point in the centre, which only moves
    rows, columns = np.mgrid[:9, :13]
    y = augment.RandomAffine(30, (0.25, 0.2), (0.9, 1.1), 10)(x, sampler())
    mass = y.sum((1, 2, 3))
    down, right = ((y[:, 0] * place).sum((1, 2)) / mass for place in (rows, columns))
    assert abs(down - 4).max() < 0.25 * 9 + 0.5
    assert abs(right - 6).max() < 0.2 * 13 + 0.5
    assert abs(down - 4).max() > 1.5
    assert abs(right - 6).max() > 1.5
    image = np.random.default_rng(0).standard_normal((1, 1, 6, 6))
    twice = augment.RandomAffine(scale=(2, 2))(image, sampler())
    np.testing.assert_allclose(augment.RandomAffine(scale=(0.5, 0.5))(twice, sampler())[0, 0, 2:4, 2:4].shape, (2, 2))
    leaning = np.zeros((1, 1, 5, 5))
    leaning[..., 2] = 1
    y = augment.RandomAffine(shear=(45, 45))(leaning, sampler())[0, 0]
    np.testing.assert_allclose(y, np.eye(5), atol=1e-13)  # rows grow downwards: what is below leans to the right


def test_affine_maps_of_pixels_on_images_that_are_not_square(rng):
    """An image of a linear function of the place: its value at A^-1 p is known, wherever p comes from the inside."""
    h, w = 20, 31
    down, right = np.mgrid[:h, :w] - np.array([(h - 1) / 2, (w - 1) / 2])[:, None, None]
    x = (3 * right + 5 * down)[None, None]
    angle, scale, lean = 20.0, 1.3, 10.0
    y = augment.RandomAffine((angle, angle), scale=(scale, scale), shear=(lean, lean))(x, sampler())[0, 0]
    cos, sin, tan = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle)), np.tan(np.deg2rad(lean))
    a = scale * np.array([[cos, sin], [-sin, cos]]) @ np.array([[1, tan], [0, 1]])
    source = np.einsum("ij,jhw->ihw", np.linalg.inv(a), np.stack([right, down]))
    inside = (abs(source[0]) < (w - 2) / 2) & (abs(source[1]) < (h - 2) / 2)
    assert inside.sum() > 200
    np.testing.assert_allclose(y[inside], (3 * source[0] + 5 * source[1])[inside], atol=1e-10)


def test_compose_goes_through_its_steps(images):
    rng, steps = sampler(), (augment.RandomFlip(), augment.RandomCrop(5))
    wanted = steps[1](steps[0](images, rng), rng)
    np.testing.assert_array_equal(nn.augment.Compose(*steps)(images, sampler()), wanted)
    assert augment.Compose()(images, sampler()) is images


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: augment.RandomFlip(1.5), ValueError, r"horizontal must be in \[0, 1\], got 1.5"),
        (lambda: augment.RandomFlip(vertical=True), TypeError, "vertical must be a number, got bool"),
        (lambda: augment.RandomCrop(0), ValueError, "size must be at least 1, got 0"),
        (lambda: augment.RandomCrop(3, padding=-1), ValueError, "padding must be at least 0"),
        (
            lambda: augment.RandomCrop(9)(np.ones((1, 1, 8, 8)), sampler()),
            ValueError,
            r"size must be at most .* \(8, 8\)",
        ),
        (lambda: augment.RandomFlip()(np.ones((8, 8)), sampler()), ValueError, r"x must have shape \(n, c, h, w\)"),
        (lambda: augment.RandomAffine(-1), ValueError, "degrees must be at least 0"),
        (lambda: augment.RandomAffine((3, 1)), ValueError, "degrees must be finite and ascending"),
        (lambda: augment.RandomAffine(np.inf), ValueError, "degrees must be finite"),
        (lambda: augment.RandomAffine((1, 2, 3)), ValueError, "degrees must be a number or a pair, got 3 values"),
        (lambda: augment.RandomAffine(translate=2), ValueError, r"translate must be in \[0, 1\]"),
        (lambda: augment.RandomAffine(scale=(0, 1)), ValueError, "scale must be positive"),
        (lambda: augment.RandomAffine(shear=90), ValueError, "shear must be between -90 and 90 degrees"),
        (lambda: augment.Compose(3), TypeError, r"steps\[0\] must be callable, got int"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()
