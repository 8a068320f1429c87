"""Makes the reference cases of quantized folders: usage: quantized.py OUT [NAME …]
                     or, to compare those of bitsandbytes with its code: quantized.py check OUT BITSANDBYTES

A folder is a tiny random model of families.py whose linear layers are packed as another program packs them; what
is expected of it is what transformers computes with the weights that the packed ones stand for. No file of those
programs was at hand: layouts and formulas are written down here from what they publish, each with its source.
Products with scales are rounded once, to float32. Needs torch, transformers and safetensors; BITSANDBYTES is a
folder with that package's Python, whose PyTorch backend needs nothing compiled.
"""

import json
import os
import sys

import numpy as np

# QLoRA (2305.14314), appendix E.
NF4 = np.float32([
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0])
# bitsandbytes' functional.py, get_4bit_type("fp4"): the codes are in the order of their bits.
FP4 = np.float32(np.array([0, 0.0625, 8, 12, 4, 6, 2, 3, 0, -0.0625, -8, -12, -4, -6, -2, -3]) / 12)


def dynamic_map():
    """The 8-bit numbers of absmax: "8-bit Optimizers via Block-wise Quantization" (2110.02861), section 2.2, and
    bitsandbytes' create_dynamic_map: between 10^(i-7) and 10^(i-6) there are 2^i means of equal parts, of both signs,
    for i from 0 to 6; and 0 and 1."""
    values = [0.0, 1.0]
    for i in range(7):
        edges = np.linspace(0.1, 1, 2 ** i + 1)
        means = (edges[:-1] + edges[1:]) / 2 * 10.0 ** (i - 6)
        values += list(means) + list(-means)
    return np.float32(sorted(values))


def nearest(levels, x):
    return np.abs(x[..., None] - levels).argmin(-1).astype(np.uint8)


def halves(codes):
    """Two codes a byte, the first in its upper half."""
    return codes[0::2] << 4 | codes[1::2]


def pack4(levels, values):
    blocks = values.reshape(-1, 64)
    absmax = np.abs(blocks).max(1)
    return absmax, halves(nearest(levels, blocks / absmax[:, None]).reshape(-1))


def widen4(levels, absmax, packed):
    codes = np.stack([packed >> 4, packed & 15], -1).reshape(-1, 64)
    return (levels[codes] * absmax[:, None]).reshape(-1)


def to_e4m3(values):
    import torch
    return torch.from_numpy(values).to(torch.float8_e4m3fn).view(torch.uint8).numpy()


def from_e4m3(codes):
    import torch
    return torch.from_numpy(codes).view(torch.float8_e4m3fn).to(torch.float32).numpy()


def pack8(values):
    blocks = values.reshape(-1, 128)
    scales = np.abs(blocks).max(1) / np.float32(448)
    return scales, to_e4m3(blocks / scales[:, None]).reshape(-1)


def groups4(groups):
    """Codes of four bits of each group of numbers, with its scale, in float16, and its zero: q = w / scale + zero."""
    low, high = np.minimum(groups.min(1), 0), np.maximum(groups.max(1), 0)
    scales = ((high - low) / 15).astype(np.float16)
    wide = scales.astype(np.float32)
    zeros = np.clip(np.round(-low / wide), 0, 15).astype(np.uint8)
    codes = np.clip(np.round(groups / wide[:, None]) + zeros[:, None], 0, 15).astype(np.uint8)
    return scales, zeros, codes


# Name, numbers of a block, how it is packed into scales and bytes, and widened: for blocks.py.
BLOCKS = {
    "NF4": (64, lambda x: pack4(NF4, x), lambda s, b: widen4(NF4, s, b)),
    "FP4": (64, lambda x: pack4(FP4, x), lambda s, b: widen4(FP4, s, b)),
    "FP8": (128, pack8, lambda s, b: (from_e4m3(b).reshape(-1, 128) * s[:, None]).reshape(-1)),
}


def bitsandbytes(kind, double):
    """A packing of bitsandbytes, and its quantization_config as transformers' BitsAndBytesConfig writes it. Names
    and blob: bitsandbytes' QuantState.as_dict(packed=True)."""
    levels = {"nf4": NF4, "fp4": FP4}[kind]

    def pack(name, w):
        absmax, packed = pack4(levels, w.reshape(-1))
        state = {"quant_type": kind, "blocksize": 64, "dtype": "bfloat16", "shape": list(w.shape)}
        tensors = {name: packed.reshape(-1, 1), name + ".quant_map": levels}
        if double:  # absmax less its mean, in 8 bits, 256 at a time
            table, offset = dynamic_map(), np.float32(absmax.mean(dtype=np.float64))
            codes, nested = np.empty(len(absmax), np.uint8), []
            for at in range(0, len(absmax), 256):
                part = absmax[at:at + 256] - offset
                nested.append(np.abs(part).max())
                codes[at:at + 256] = nearest(table, part / nested[-1])
            nested = np.float32(nested)
            absmax = table[codes] * np.repeat(nested, 256)[:len(codes)] + offset
            tensors |= {name + ".absmax": codes, name + ".nested_absmax": nested, name + ".nested_quant_map": table}
            state |= {"nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": float(offset)}
        else:
            tensors[name + ".absmax"] = absmax
        blob = np.frombuffer(json.dumps(state).encode(), np.uint8)
        tensors[f"{name}.quant_state.bitsandbytes__{kind}"] = blob
        return tensors, widen4(levels, absmax, packed).reshape(w.shape)

    return pack, {
        "_load_in_4bit": True, "_load_in_8bit": False, "bnb_4bit_compute_dtype": "bfloat16",
        "bnb_4bit_quant_storage": "uint8", "bnb_4bit_quant_type": kind, "bnb_4bit_use_double_quant": double,
        "llm_int8_enable_fp32_cpu_offload": False, "llm_int8_has_fp16_weight": False, "llm_int8_skip_modules": None,
        "llm_int8_threshold": 6.0, "load_in_4bit": True, "load_in_8bit": False, "quant_method": "bitsandbytes"}


def fp8(*plain):
    """FP8 with a scale for 128 x 128 weights, in bfloat16 as Qwen's folders have it: "DeepSeek-V3 Technical Report"
    (2412.19437), section 3.3, and transformers' FineGrainedFP8Config: weight = codes * weight_scale_inv. The layers
    called plain are named as such that are not packed."""
    import torch

    def pack(name, w):
        rows, columns = -(-w.shape[0] // 128), -(-w.shape[1] // 128)
        scales = np.empty((rows, columns), np.float32)
        for i in range(rows):
            for j in range(columns):
                scales[i, j] = np.abs(w[128 * i:128 * i + 128, 128 * j:128 * j + 128]).max() / 448
        stored = torch.from_numpy(scales).to(torch.bfloat16)
        wide = np.repeat(np.repeat(stored.float().numpy(), 128, 0), 128, 1)[:w.shape[0], :w.shape[1]]
        codes = torch.from_numpy(np.clip(w / wide, -448, 448)).to(torch.float8_e4m3fn)
        return {name: codes, name + "_scale_inv": stored}, codes.float().numpy() * wide

    config = {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [128, 128]}
    return pack, config | ({"modules_to_not_convert": ["lm_head", *plain]} if plain else {})


def words(codes):
    """Eight codes of four bits a word of 32, the first in the lowest ones; along the last axis."""
    shifted = codes.astype(np.uint32).reshape(*codes.shape[:-1], -1, 8) << np.arange(0, 32, 4, dtype=np.uint32)
    return np.bitwise_or.reduce(shifted, -1).view(np.int32)


def groups_of(w, size):
    """Scales and zeros [groups, out] and codes [in, out] of a matrix [out, in], and the weights they stand for."""
    scales, zeros, codes = groups4(w.reshape(-1, size))
    scales, zeros = (x.reshape(len(w), -1).T.copy() for x in (scales, zeros))
    codes = codes.reshape(w.shape).T.copy()
    expand = lambda x: np.repeat(x.astype(np.float32), size, 0)
    return scales, zeros, codes, (expand(scales) * (codes.astype(np.float32) - expand(zeros))).T.copy()


def gptq(size):
    """GPTQ (2210.17323) as AutoGPTQ's QuantLinear packs it: qweight [in/8, out], qzeros [groups, out/8] of zero - 1,
    scales [groups, out], g_idx [in]; w = scale (q - zero)."""
    def pack(name, w):
        layer = name.removesuffix(".weight")
        scales, zeros, codes, wide = groups_of(w, size)
        zeros = np.maximum(zeros, 1)  # 0 has no code
        wide = (np.repeat(scales.astype(np.float32), size, 0)
                * (codes.astype(np.float32) - np.repeat(zeros, size, 0))).T.copy()
        return {layer + ".qweight": words(codes.T).T.copy(), layer + ".qzeros": words(zeros - 1),
                layer + ".scales": scales, layer + ".g_idx": np.arange(w.shape[1], dtype=np.int32) // size,
                layer + ".bias": np.zeros(len(w), np.float16)}, wide

    return pack, {"bits": 4, "group_size": size, "desc_act": False, "sym": False, "static_groups": False,
                  "true_sequential": True, "damp_percent": 0.1, "checkpoint_format": "gptq", "quant_method": "gptq"}


def awq(size):
    """AWQ (2306.00978) as AutoAWQ's WQLinear_GEMM packs it: qweight [in, out/8], qzeros [groups, out/8], the eight
    outputs of a word in the order 0 2 4 6 1 3 5 7, scales [groups, out]; w = scale (q - zero)."""
    order = [0, 2, 4, 6, 1, 3, 5, 7]

    def pack(name, w):
        layer = name.removesuffix(".weight")
        scales, zeros, codes, wide = groups_of(w, size)
        mixed = lambda x: words(x.reshape(len(x), -1, 8)[:, :, order].reshape(x.shape))
        return {layer + ".qweight": mixed(codes), layer + ".qzeros": mixed(zeros), layer + ".scales": scales}, wide

    return pack, {"bits": 4, "group_size": size, "zero_point": True, "version": "gemm", "quant_method": "awq",
                  "modules_to_not_convert": None, "backend": "autoawq"}


def wide(**more):
    return dict(hidden_size=64, intermediate_size=320, num_attention_heads=4, num_key_value_heads=2) | more


# 320 blocks of 64 are more than the 256 whose absmax share a scale; rows of 96 end inside blocks of 64, those of
# 144 inside blocks of 128.
FOLDERS = {
    "llama-nf4": (wide(model_type="llama", num_hidden_layers=1), lambda: bitsandbytes("nf4", True)),
    "llama-fp4": (wide(model_type="llama", intermediate_size=96, num_hidden_layers=1),
                  lambda: bitsandbytes("fp4", False)),
    "llama-gptq": (wide(model_type="llama", intermediate_size=192, num_hidden_layers=1), lambda: gptq(64)),
    "llama-awq": (wide(model_type="llama", intermediate_size=192, num_hidden_layers=1), lambda: awq(64)),
    "qwen3-fp8": (dict(model_type="qwen3", hidden_size=128, head_dim=36, intermediate_size=144, num_hidden_layers=1,
                       tie_word_embeddings=True), fp8),
    # Mixtures of experts.
    "qwen3_moe-nf4": (wide(model_type="qwen3_moe", num_hidden_layers=1, head_dim=32, num_experts=4,
                           num_experts_per_tok=2, moe_intermediate_size=64, norm_topk_prob=True),
                      lambda: bitsandbytes("nf4", True)),
    "qwen3_moe-fp8": (dict(model_type="qwen3_moe", hidden_size=128, num_hidden_layers=1, head_dim=32, num_experts=3,
                           num_experts_per_tok=2, moe_intermediate_size=36, norm_topk_prob=True,
                           tie_word_embeddings=True), lambda: fp8("model.layers.0.mlp.gate")),
    "mixtral-gptq": (wide(model_type="mixtral", intermediate_size=64, num_hidden_layers=1, num_local_experts=4,
                          num_experts_per_tok=2), lambda: gptq(64)),
}


def make(out, name):
    import torch
    from safetensors.torch import save_file

    import families

    settings, packing = FOLDERS[name]
    pack, config = packing()
    tensors = {}

    def replace(model):
        """Gives the model the weights that the packed ones, and bfloat16 of all others, stand for."""
        with torch.no_grad():
            for weight, p in families.saved_tensors(model):
                # transformers 4 packed routers, too, with bitsandbytes alone.
                router = weight.endswith(".gate.weight") and config["quant_method"] == "bitsandbytes"
                if router or weight.endswith("_proj.weight") or ".experts." in weight:
                    packed, w = pack(weight, p.numpy())
                    tensors.update((n, torch.as_tensor(t)) for n, t in packed.items())
                    p.copy_(torch.from_numpy(w))
                elif weight != "lm_head.weight" or not settings.get("tie_word_embeddings"):
                    tensors[weight] = p.to(torch.bfloat16)
                    p.copy_(tensors[weight])

    families.make(out, name, settings, replace)
    folder = os.path.join(out, name)
    save_file({n: t.clone() for n, t in tensors.items()}, os.path.join(folder, "model.safetensors"),
              metadata={"format": "pt"})
    path = os.path.join(folder, "config.json")
    with open(path) as f:
        all = json.load(f) | {"quantization_config": config, "dtype": "bfloat16"}
    with open(path, "w") as f:
        json.dump(all, f, indent=2)
        f.write("\n")


def check(out, library):
    """Compares what bitsandbytes widens the folders to with what is expected here, to the bit."""
    sys.path.insert(0, library)
    import bitsandbytes
    import torch
    from safetensors.torch import load_file

    for name in ("llama-nf4", "llama-fp4"):
        tensors = load_file(os.path.join(out, name, "model.safetensors"))
        for weight in [n for n in tensors if n.endswith("_proj.weight")]:
            parts = {n[len(weight) + 1:]: t for n, t in tensors.items() if n.startswith(weight + ".")}
            want = widen_parts(tensors[weight].numpy(), {n: t.numpy() for n, t in parts.items()})
            packed = bitsandbytes.nn.Params4bit.from_prequantized(
                data=tensors[weight], quantized_stats=parts, requires_grad=False, device="cpu")
            packed.quant_state.dtype = torch.float32
            got = bitsandbytes.functional.dequantize_4bit(packed.data, packed.quant_state).numpy()
            assert np.array_equal(got, want), weight
        print(name, "is the same in bitsandbytes", bitsandbytes.__version__)


def widen_parts(packed, parts):
    blob = next(p for p in parts if p.startswith("quant_state"))
    state, absmax = json.loads(bytes(parts[blob])), parts["absmax"]
    if "nested_absmax" in parts:
        nested = np.repeat(parts["nested_absmax"], state["nested_blocksize"])[:len(absmax)]
        absmax = parts["nested_quant_map"][absmax] * nested + np.float32(state["nested_offset"])
    return widen4(parts["quant_map"], absmax, packed.reshape(-1)).reshape(state["shape"])


if __name__ == "__main__":
    import torch
    torch.set_num_threads(1)
    if sys.argv[1] == "check":
        check(sys.argv[2], sys.argv[3])
    else:
        for name in sys.argv[2:] or FOLDERS:
            make(sys.argv[1], name)
