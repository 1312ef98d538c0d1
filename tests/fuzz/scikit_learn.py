"""Random small data, with duplicates, constant features, weights of 0 and offsets: the estimators against scikit-learn.

k-means starts from the same centres. Where a sample has two nearest centres, or a cluster runs empty, rounding may
decide; such runs are recognised by a plain Lloyd's algorithm and only checked in themselves.
"""

import time
import warnings

import numpy as np

import npkernels as nk


def data(rng, dtype):
    """Samples (n, d) of float64 that `dtype` holds exactly, and how they are handed over."""
    n, d = int(rng.integers(2, 40)), int(rng.integers(1, 7))
    x = rng.standard_normal((n, d)) * rng.choice([0.1, 1, 30])
    if rng.random() < 0.3:
        x = np.round(x)
    if rng.random() < 0.3:
        x = x[rng.integers(0, n, n)]
    if rng.random() < 0.2:
        x[:, rng.integers(d)] = rng.choice([0.0, 3.5])
    x = (x + rng.choice([0, 0, 0, 1, 1e3, 1e4, 1e5])).astype(dtype)
    layout = rng.integers(4)
    if layout == 3 and dtype == np.float64:
        return x, x.tolist()
    return x.astype(float), (x, np.asfortranarray(x), x[::-1].copy()[::-1], x)[layout]


def weights_for(rng, n):
    kind = rng.integers(6)
    if kind < 2:
        return None
    if kind == 2:
        return np.full(n, rng.choice([1.0, 2.0, 0.3]))
    weights = np.round(rng.uniform(0.1, 3, n), 2)
    if kind > 3:
        weights[rng.random(n) < 0.3] = 0
    if not weights.any():
        weights[0] = 1
    return weights


def squares(x, centres):
    return ((x[:, None] - centres) ** 2).sum(2)


def unclear(x, weights, centres, max_iter, tol, dtype):
    """Whether a run from these centres depends on how something is rounded."""
    eps, labels = 64 * np.finfo(dtype).eps, None
    weights = np.ones(len(x)) if weights is None else weights
    for _ in range(max_iter + 1):
        found = squares(x, centres)
        nearest = np.sort(found, axis=1)
        if len(centres) > 1 and (nearest[:, 1] - nearest[:, 0] <= eps * (nearest[:, 1] + nearest[:, 0].max())).any():
            return True
        before, labels = labels, found.argmin(1)
        counts = np.bincount(labels, weights, len(centres))
        if not counts.all():
            return True
        sums = np.array([weights * column @ (labels[:, None] == np.arange(len(centres))) for column in x.T]).T
        previous, centres = centres, sums / counts[:, None]
        shift = ((centres - previous) ** 2).sum()
        if abs(shift - tol) <= 1e-6 * tol:
            return True
        if (before is not None and np.array_equal(before, labels)) or shift <= tol:
            break
    return False


def consistent(fit, x, given, weights, dtype):
    """What holds for every fit by itself."""
    eps = np.finfo(dtype).eps
    weights = np.ones(len(x)) if weights is None else weights
    assert np.array_equal(fit.predict(given), fit.labels_)
    found = squares(x, fit.cluster_centers_.astype(float))
    mine = found[np.arange(len(x)), fit.labels_]
    # cluster_centers_ are rounded: by eps of their size, to which distances are added
    rounding = np.sqrt(x.shape[1]) * abs(x).max()
    slack = 4 * np.sqrt(found.max()) * rounding * eps + 200 * eps * found.max() + (1e-15 * rounding) ** 2
    assert (mine <= found.min(1) + slack).all(), "labels are not those of the nearest centres"
    assert abs(fit.inertia_ - weights @ mine) <= weights.sum() * slack


def kmeans(rng, dtype):
    from sklearn.cluster import KMeans

    x, given = data(rng, dtype)
    n, weights = len(x), weights_for(rng, len(x))
    k = n if rng.random() < 0.1 else int(rng.integers(1, min(n, 9) + 1))
    init = x[rng.choice(n, k, replace=bool(rng.random() < 0.2))]
    options = {"init": init, "max_iter": int(rng.choice([1, 2, 5, 300])), "tol": float(rng.choice([0, 1e-4, 0.1]))}
    ours = nk.KMeans(k, **options).fit(given, sample_weight=weights)
    consistent(ours, x, given, weights, dtype)
    assert ours.inertia_ == -ours.score(given, sample_weight=weights) or weights is not None
    assert ours.n_iter_ <= options["max_iter"]
    theirs = KMeans(k, **options).fit(x, sample_weight=weights)
    if unclear(x, weights, init, options["max_iter"], options["tol"] * x.var(0).mean(), dtype):
        return
    assert np.array_equal(ours.labels_, theirs.labels_), "other labels"
    assert ours.n_iter_ == theirs.n_iter_, f"{ours.n_iter_} iterations, {theirs.n_iter_} wanted"
    near = abs(ours.cluster_centers_ - theirs.cluster_centers_)
    assert (near <= 4 * np.finfo(dtype).eps * (abs(x).max() + 1)).all(), f"centres off by {near.max()}"
    off = abs(ours.inertia_ - theirs.inertia_)
    assert off <= 1e-5 * theirs.inertia_ + 1e-9, f"inertia {ours.inertia_}, {theirs.inertia_} wanted"
    wanted = np.sqrt(squares(x, theirs.cluster_centers_))
    assert np.allclose(ours.transform(given), wanted, rtol=1e-4, atol=1e-5 * (1 + wanted.max()))


def batches(rng, dtype):
    from sklearn.cluster import MiniBatchKMeans

    x, given = data(rng, dtype)
    n, weights, given = len(x), weights_for(rng, len(x)), np.asarray(given)
    k = int(rng.integers(1, min(n, 5) + 1))
    init = x[rng.choice(n, k, replace=False)]
    options = {"n_clusters": k, "init": init, "reassignment_ratio": 0, "n_init": 1}
    ours, theirs = nk.MiniBatchKMeans(**options), MiniBatchKMeans(**options)
    for _ in range(4):
        rows = rng.permutation(n)[: int(rng.integers(k, n + 1))]
        part = None if weights is None else weights[rows]
        if part is not None and not part.any():
            part = None
        centres = getattr(ours, "cluster_centers_", init).astype(float)
        if unclear(x[rows], None, centres, 0, 0, dtype):
            return
        ours.partial_fit(given[rows], sample_weight=part)
        theirs.partial_fit(x[rows], sample_weight=part)
        consistent(ours, x[rows], given[rows], part, dtype)
        near = abs(ours.cluster_centers_ - theirs.cluster_centers_)
        assert (near <= 8 * np.finfo(dtype).eps * (abs(x).max() + 1)).all(), f"centres off by {near.max()}"
        assert abs(ours.inertia_ - theirs.inertia_) <= 1e-4 * theirs.inertia_ + 1e-6 * (1 + x.var())


def weights_of_one(rng, dtype):
    """Weights that are all the same change the inertia only, whatever else is drawn."""
    _, given = data(rng, dtype)
    given, seed, weight = np.asarray(given), int(rng.integers(1000)), float(rng.choice([1.0, 1.0, 2.0, 0.3]))
    n = len(given)
    k, weights = int(rng.integers(1, min(n, 6) + 1)), np.full(n, weight)
    options = {"n_clusters": k, "random_state": seed, "n_init": int(rng.integers(1, 3))}
    options["init"] = str(rng.choice(["k-means++", "random"]))
    for kind in (nk.KMeans, nk.MiniBatchKMeans):
        without, with_them = kind(**options).fit(given), kind(**options).fit(given, sample_weight=weights)
        assert np.array_equal(without.labels_, with_them.labels_), kind
        assert np.array_equal(without.cluster_centers_, with_them.cluster_centers_), kind
        assert without.inertia_ * weight == with_them.inertia_, kind
        assert without.n_iter_ == with_them.n_iter_, kind
    rows = [
        nk.kmeans_plus_plus(given, k, rng=np.random.default_rng(seed), sample_weight=w)
        for w in (None, weights.astype(dtype))
    ]
    assert np.array_equal(*rows), "k-means++"
    if weight == 1:
        parts = [nk.MiniBatchKMeans(**options) for _ in range(2)]
        for _ in range(3):
            parts[0].partial_fit(given)
            parts[1].partial_fit(given, sample_weight=weights)
        assert np.array_equal(parts[0].cluster_centers_, parts[1].cluster_centers_), "partial_fit"
        assert parts[0].inertia_ == parts[1].inertia_, "partial_fit"


def components(rng, dtype):
    from sklearn.decomposition import PCA

    x, given = data(rng, dtype)
    n, d = x.shape
    k = int(rng.integers(1, min(n, d) + 1))
    solver, whiten = str(rng.choice(["full", "covariance_eigh", "auto"])), bool(rng.random() < 0.3)
    ours = nk.PCA(k, svd_solver=solver, whiten=whiten).fit(given)
    theirs = PCA(k, svd_solver="full", whiten=whiten).fit(x)
    # products of centred samples, whose mean is rounded
    size = x.var(0, ddof=1).sum() + (np.finfo(dtype).eps * abs(x).max()) ** 2 * d
    slack = 64 * d * np.finfo(dtype).eps * size + 4 * np.sqrt(d * size) * np.finfo(dtype).eps * abs(x).max()
    assert (abs(ours.explained_variance_ - theirs.explained_variance_) <= slack).all()
    assert (abs(ours.mean_ - theirs.mean_) <= 8 * np.finfo(dtype).eps * (abs(x).max() + 1)).all()
    assert abs(ours.noise_variance_ - theirs.noise_variance_) <= slack
    assert np.allclose(ours.components_ @ ours.components_.T, np.eye(k), atol=100 * d * np.finfo(dtype).eps)
    if not whiten:
        off = x - ours.inverse_transform(ours.transform(given))
        assert (off**2).sum() <= (n - 1) * (max(0, size - theirs.explained_variance_.sum()) + 4 * d * slack)


FAMILIES = kmeans, batches, weights_of_one, components, kmeans


def call(seed, i):
    rng = np.random.default_rng([seed, i])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        FAMILIES[i % len(FAMILIES)](rng, np.dtype(np.float64 if i // len(FAMILIES) % 2 else np.float32))


def batch(seed, first, last):
    """The first of these calls that is wrong, and why, or None."""
    for i in range(first, last):
        try:
            call(seed, i)
        except Exception as error:
            return f"tests.fuzz.scikit_learn.call({seed}, {i}): {type(error).__name__}: {error}"
    return None


def run(seed, seconds):
    """Calls that were made; an AssertionError says which one fails."""
    end, done = time.monotonic() + seconds, 0
    while done == 0 or time.monotonic() < end:
        wrong = batch(seed, done, done + 50)
        assert wrong is None, wrong
        done += 50
    return done
