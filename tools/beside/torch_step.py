"""A training step in PyTorch, for agora bench step --beside 'python3 tools/beside/torch_step.py [--compile] [--device cuda]'.

Reads on stdin what is measured, as JSON: a LLaMA's config.json, the adapter, types, rows, threads, steps. Trains such a
model with random weights on random words, as agora bench step does, and prints rates as JSON. The modules of a
MultiLoRA are stacked into one product each for A and B, as Agora's are; AdamW is the fused one, the gradient is
clipped, attention is scaled_dot_product_attention, and all tokens count in the loss. With dtype bf16 the frozen
weights are stored in it and products are in it by autocast; attention computes in f32, which on processors is the
faster (--attention bf16: not so). Needs PyTorch alone.

With --device cuda the model and its words lie on an NVIDIA card, f16 is known as well (with a GradScaler), attention
computes in the type of the products, and each step waits for the device before it looks at the clock.

The program begins anew with what PyTorch on a processor needs to be fast: memory that stays in the heap, and, where
Debian's OpenBLAS is there, the one that shares OpenMP's threads; a step took 3.7 times as long without.
"""

import argparse
import contextlib
import json
import os
import resource
import statistics
import sys
import time

OPENBLAS = "/usr/lib/x86_64-linux-gnu/openblas-openmp"
if "AGORA_TUNED" not in os.environ:
    tuned = {"AGORA_TUNED": "1", "GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=4294967296:"
             "glibc.malloc.trim_threshold=17179869184"}
    if os.path.isdir(OPENBLAS):
        tuned["LD_LIBRARY_PATH"] = OPENBLAS
    os.execve(sys.executable, [sys.executable] + sys.argv, os.environ | tuned)

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


class Linear(nn.Module):
    """A frozen layer with modules of low rank beside it: y = W x + sum of s_i B_i A_i x."""

    def __init__(self, wide, out, task, adapted, dtype):
        super().__init__()
        full = task["method"] == "full"
        self.weight = nn.Parameter(torch.randn(out, wide, dtype=dtype) * wide**-0.5, requires_grad=full)
        self.adapted = adapted and not full
        if self.adapted:
            self.rank, width = task["rank"], max(1, task["modules"]) * task["rank"]
            learned = task["method"] == "multilora"
            self.a = nn.Parameter(torch.randn(width, wide) * wide**-0.5)
            self.b = nn.Parameter(torch.randn(out, width) * self.rank**-0.5 if learned else torch.zeros(out, width))
            self.s = nn.Parameter(torch.zeros(width // self.rank)) if learned else None

    def forward(self, x):
        y = F.linear(x, self.weight)
        if self.adapted:
            h = F.linear(x, self.a)
            if self.s is not None:
                h = h * self.s.repeat_interleave(self.rank).to(h.dtype)
            y = y + F.linear(h, self.b)
        return y


class Block(nn.Module):
    def __init__(self, c, linear, norm, wide_attention):
        super().__init__()
        self.heads, self.kv = c["num_attention_heads"], c["num_key_value_heads"]
        self.size = c.get("head_dim") or c["hidden_size"] // self.heads
        wide, inner = c["hidden_size"], c["intermediate_size"]
        self.norms = nn.ParameterList(norm() for _ in range(2))
        self.eps = c["rms_norm_eps"]
        self.wide = wide_attention
        self.q = linear("q_proj", wide, self.heads * self.size)
        self.k = linear("k_proj", wide, self.kv * self.size)
        self.v = linear("v_proj", wide, self.kv * self.size)
        self.o = linear("o_proj", self.heads * self.size, wide)
        self.gate, self.up = linear("gate_proj", wide, inner), linear("up_proj", wide, inner)
        self.down = linear("down_proj", inner, wide)

    def forward(self, x, cos, sin):
        rows, tokens, _ = x.shape
        half = self.size // 2

        def heads(y, n):
            return y.view(rows, tokens, n, self.size).transpose(1, 2)

        def turned(y):
            return (y * cos + torch.cat((-y[..., half:], y[..., :half]), -1) * sin).to(y.dtype)

        n = F.rms_norm(x, x.shape[-1:], self.norms[0].to(x.dtype), self.eps)
        q, k, v = heads(self.q(n), self.heads), heads(self.k(n), self.kv), heads(self.v(n), self.kv)
        q, k = turned(q), turned(k)
        with torch.autocast(x.device.type, enabled=False) if self.wide else contextlib.nullcontext():
            if self.wide:
                q, k, v = q.float(), k.float(), v.float()
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.kv != self.heads).to(x.dtype)
        x = x + self.o(y.transpose(1, 2).reshape(rows, tokens, -1))
        n = F.rms_norm(x, x.shape[-1:], self.norms[1].to(x.dtype), self.eps)
        return x + self.down(F.silu(self.gate(n)) * self.up(n))


class Model(nn.Module):
    def __init__(self, task, wide_attention):
        super().__init__()
        c, full = task["shape"], task["method"] == "full"
        dtype = torch.float32 if full else DTYPES[task["dtype"]]
        targets = task["targets"] or ["all-linear"]

        def linear(name, wide, out):
            return Linear(wide, out, task, "all-linear" in targets or name in targets, dtype)

        def words():
            return nn.Parameter(torch.randn(c["vocab_size"], c["hidden_size"], dtype=dtype) * 0.02, requires_grad=full)

        def norm():
            return nn.Parameter(torch.ones(c["hidden_size"]), requires_grad=full)

        self.embedding = words()
        self.head = self.embedding if c.get("tie_word_embeddings") else words()
        self.blocks = nn.ModuleList(Block(c, linear, norm, wide_attention) for _ in range(c["num_hidden_layers"]))
        self.norm, self.eps = norm(), c["rms_norm_eps"]
        size = self.blocks[0].size
        rates = (c.get("rope_theta") or 10000.0) ** (-torch.arange(0, size, 2) / size)
        turns = torch.outer(torch.arange(task["tokens"]), rates).repeat(1, 2)
        self.register_buffer("cos", turns.cos())
        self.register_buffer("sin", turns.sin())
        self.checkpointing = task["gradient_checkpointing"]

    def forward(self, ids, labels):
        x = F.embedding(ids, self.embedding)
        for block in self.blocks:
            if self.checkpointing:
                x = checkpoint(block, x, self.cos, self.sin, use_reentrant=False)
            else:
                x = block(x, self.cos, self.sin)
        x = F.rms_norm(x, x.shape[-1:], self.norm.to(x.dtype), self.eps)
        return F.cross_entropy(F.linear(x, self.head).flatten(0, 1).float(), labels.flatten())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--attention", choices=("f32", "bf16"), default="f32", help="of a model in bf16 on a processor")
    arguments = parser.parse_args()
    compiled, on_card = arguments.compile, arguments.device == "cuda"
    task = json.load(sys.stdin)
    known = ("f32", "bf16", "f16") if on_card else ("f32", "bf16")
    if task["dtype"] not in known or task["compute_dtype"] != task["dtype"]:
        sys.exit(f"want {', '.join(known)}, got {task['dtype']} with activations in {task['compute_dtype']}")
    if task["method"] not in ("multilora", "lora", "rslora", "full"):
        sys.exit(f"no such method here: {task['method']}")
    if on_card and not torch.cuda.is_available():
        sys.exit("--device cuda: PyTorch sees no card")
    torch.set_num_threads(task["threads"])
    torch.manual_seed(0)
    narrow = task["dtype"] != "f32"
    wide_attention = narrow and not on_card and task["method"] != "full" and arguments.attention == "f32"
    model = Model(task, wide_attention).to(arguments.device)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    scaler = torch.amp.GradScaler(arguments.device, init_scale=256, enabled=task["dtype"] == "f16")  # few steps skipped
    call = torch.compile(model) if compiled else model
    ids = torch.randint(task["shape"]["vocab_size"], (task["accumulate"], task["rows"], task["tokens"] + 1)).to(arguments.device)

    def step():
        start = time.perf_counter()
        for rows in ids:
            with torch.autocast(arguments.device, DTYPES[task["dtype"]]) if narrow else contextlib.nullcontext():
                loss = call(rows[:, :-1], rows[:, 1:]) / len(ids)
            scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(trained, 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        loss.item()
        if on_card:
            torch.cuda.synchronize()
        return time.perf_counter() - start

    for _ in range(max(1, task["warm_up"])):
        step()
    times = [step() for _ in range(task["steps"])]
    tokens = task["accumulate"] * task["rows"] * task["tokens"]
    on_device = {"peak_pooled_bytes": torch.cuda.max_memory_reserved()} if on_card else {}
    print(json.dumps({
        "name": f"PyTorch {torch.__version__}, {'compiled' if compiled else 'eager'}",
        "tokens_per_s": tokens / statistics.median(times),
        "best_tokens_per_s": tokens / min(times),
        "process_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "trained": sum(p.numel() for p in trained),
    } | on_device))


main()
