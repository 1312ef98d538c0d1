"""Random valid calls of k-means, and of the estimators: a fit and everything that can be asked of it."""

import numpy as np

import npkernels as nk

from .draw import Call, chance, pick, positive, size, values


def samples(rng, dtype, least=0):
    n, d = max(least, size(rng)), min(40, size(rng, 1))
    x = values(rng, (n, d), dtype, finite=True)
    return x * dtype.type(pick(rng, 1, 1, 100)) + dtype.type(pick(rng, 0, 0, 1000))


def weights(rng, n, dtype):
    return {"sample_weight": positive(rng, n, dtype)} if chance(rng, 0.5) else {}


def kmeans_assign(rng, dtype):
    x = samples(rng, dtype)
    centroids = values(rng, (size(rng, 1), x.shape[1]), dtype, finite=True)
    return Call(nk.kmeans_assign, (x, centroids), {"return_distances": chance(rng, 0.5)})


def kmeans_accumulate(rng, dtype):
    x = samples(rng, dtype)
    centroids = values(rng, (size(rng, 1), x.shape[1]), dtype, finite=True)
    return Call(nk.kmeans_accumulate, (x, centroids), weights(rng, len(x), dtype))


def kmeans_plus_plus(rng, dtype):
    x = samples(rng, dtype, 1)
    options = {"rng": np.random.default_rng(int(rng.integers(99)))} | weights(rng, len(x), dtype)
    return Call(nk.kmeans_plus_plus, (x, int(rng.integers(1, min(len(x), 30), endpoint=True))), options)


def fit_kmeans(x, sample_weight=None, **parameters):
    model = nk.KMeans(**parameters).fit(x, sample_weight=sample_weight)
    fitted = model.cluster_centers_, model.labels_, model.inertia_, model.n_iter_
    return *fitted, model.predict(x), model.transform(x), model.score(x, sample_weight=sample_weight)


def fit_mini_batch_kmeans(x, sample_weight=None, partial=False, **parameters):
    model = nk.MiniBatchKMeans(**parameters)
    for _ in range(1 + partial):
        (model.partial_fit if partial else model.fit)(x, sample_weight=sample_weight)
    return model.cluster_centers_, model.labels_, model.inertia_, model.n_steps_, model.predict(x), model.transform(x)


def fit_pca(x, **parameters):
    model = nk.PCA(**parameters).fit(x)
    fitted = model.components_, model.explained_variance_, model.singular_values_, model.mean_, model.noise_variance_
    y = model.transform(x)
    return *fitted, y, model.inverse_transform(y)


def clusters(rng, n, d, dtype):
    """Parameters that both k-means estimators have."""
    k = int(rng.integers(1, min(n, 9), endpoint=True))
    init = pick(rng, "k-means++", "random", values(rng, (k, d), dtype, finite=True))
    n_init = 1 if isinstance(init, np.ndarray) else pick(rng, "auto", 2)
    return {"n_clusters": k, "init": init, "n_init": n_init, "random_state": int(rng.integers(99))}


def kmeans(rng, dtype):
    x = samples(rng, dtype, 1)
    options = clusters(rng, *x.shape, dtype) | {"max_iter": int(rng.integers(1, 20)), "tol": pick(rng, 1e-4, 0.0)}
    return Call(fit_kmeans, (x,), options | weights(rng, len(x), dtype))


def mini_batch_kmeans(rng, dtype):
    x = samples(rng, dtype, 1)
    options = clusters(rng, *x.shape, dtype) | {"max_iter": int(rng.integers(1, 5)), "batch_size": size(rng, 1)}
    return Call(fit_mini_batch_kmeans, (x,), options | {"partial": chance(rng, 0.3)} | weights(rng, len(x), dtype))


def pca(rng, dtype):
    x = samples(rng, dtype, 2)
    most = min(x.shape)
    options = {"whiten": chance(rng, 0.2), "random_state": int(rng.integers(99))}
    options["svd_solver"] = pick(rng, "auto", "full", "covariance_eigh", "randomized")
    options["n_components"] = int(rng.integers(1, most, endpoint=True)) if chance(rng, 0.7) else None
    return Call(fit_pca, (x,), options)


CALLS = {
    "kmeans_assign": kmeans_assign,
    "kmeans_accumulate": kmeans_accumulate,
    "kmeans_plus_plus": kmeans_plus_plus,
    "KMeans": kmeans,
    "MiniBatchKMeans": mini_batch_kmeans,
    "PCA": pca,
}
