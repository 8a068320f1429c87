"""Products of matrices in PyTorch, for agora bench gemm --beside 'python3 tools/beside/torch_gemm.py'.

Reads on stdin which products are measured, as JSON, and prints their median GFLOP/s by their names. A product is
torch.mm with operands of the type, written into the same memory again: oneDNN or the BLAS that PyTorch was built
with. Needs PyTorch alone. As tools/beside/torch_step.py it begins anew with the BLAS that shares OpenMP's threads.
"""

import json
import os
import statistics
import sys
import time

OPENBLAS = "/usr/lib/x86_64-linux-gnu/openblas-openmp"
if "AGORA_TUNED" not in os.environ and os.path.isdir(OPENBLAS):
    os.execve(sys.executable, [sys.executable] + sys.argv, os.environ | {"AGORA_TUNED": "1", "LD_LIBRARY_PATH": OPENBLAS})

import torch


def rate(p, rounds, seconds):
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}.get(p["dtype"])
    if dtype is None:
        sys.exit(f"want f32, bf16 or f16, got {p['dtype']}")
    m, n, k = p["m"], p["n"], p["k"]
    a = torch.randn(k, m, dtype=dtype).t() if p["layout"][0] == "T" else torch.randn(m, k, dtype=dtype)
    b = torch.randn(n, k, dtype=dtype).t() if p["layout"][1] == "T" else torch.randn(k, n, dtype=dtype)
    c = torch.empty(m, n, dtype=dtype)

    def took(calls):
        start = time.perf_counter()
        for _ in range(calls):
            torch.mm(a, b, out=c)
        return (time.perf_counter() - start) / calls

    took(2)
    calls = max(1, int(seconds / max(took(2), 1e-9)))
    return 2e-9 * m * n * k / statistics.median(took(calls) for _ in range(rounds))


def main():
    task = json.load(sys.stdin)
    torch.set_num_threads(task["threads"])
    with torch.no_grad():
        rates = {p["name"]: rate(p, task["rounds"], task["seconds"]) for p in task["products"]}
    print(json.dumps({"name": f"PyTorch {torch.__version__}", "rates": rates}))


main()
