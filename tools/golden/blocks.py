#!/usr/bin/env python3
"""Blocks of quantized types and what they widen to, for internal/quant/testdata:

    tools/golden/blocks.py OUT    (where python3-gguf, llama-quantize and PyTorch are)

A file a type: 512 numbers' blocks of normal numbers, 512 numbers' blocks of random bits with finite scales, and the
1,024 float32 that they stand for. GGML's are as llama-quantize makes and widens them. NF4, FP4, FP8 and U4 are the
formulas of quantized.py beside this one, with PyTorch's float8_e4m3fn.
"""
import pathlib, subprocess, sys, tempfile
import gguf, numpy as np
import quantized

TYPES = {  # offsets of the F16 scales in a block
    "Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "IQ4_NL": [0],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}
out, random = pathlib.Path(sys.argv[1]), np.random.default_rng(1)
work = pathlib.Path(tempfile.mkdtemp())
tensors = {"token_embd.weight": (64, 256), "output.weight": (64, 256)}
for name in "attn_q attn_k attn_v attn_output ffn_gate ffn_up ffn_down".split():
    tensors[f"blk.0.{name}.weight"] = (256, 256)


def write(path, file_type, kind=None, raw=None):
    w = gguf.GGUFWriter(path, "llama")
    w.add_context_length(64); w.add_embedding_length(256); w.add_block_count(1); w.add_feed_forward_length(256)
    w.add_head_count(4); w.add_layer_norm_rms_eps(1e-5); w.add_vocab_size(64); w.add_tokenizer_model("no_vocab")
    w.add_file_type(file_type)
    for name in "output_norm", "blk.0.attn_norm", "blk.0.ffn_norm":
        w.add_tensor(name + ".weight", np.ones(256, np.float32))
    for name, shape in tensors.items():
        if raw is None:
            w.add_tensor(name, random.standard_normal(shape, dtype=np.float32) * np.float32(0.02))
        else:
            w.add_tensor(name, raw[name], raw_dtype=kind)
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()


def quantize(source, target, name, *flags):
    subprocess.run(["llama-quantize", *flags, source, target, name], check=True, capture_output=True)


def read(path, name):
    return next(t for t in gguf.GGUFReader(path).tensors if t.name == name)


write(work / "f32.gguf", 0)
for name, scales in TYPES.items():
    quantize(work / "f32.gguf", work / "q.gguf", name, "--pure")
    quantize(work / "q.gguf", work / "wide.gguf", "F32", "--allow-requantize")
    kind = gguf.GGMLQuantizationType[name]
    length, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = np.array(read(work / "q.gguf", "blk.0.ffn_up.weight").data).reshape(-1, size)[:512 // length]
    want = np.array(read(work / "wide.gguf", "blk.0.ffn_up.weight").data).reshape(-1)[:512]
    raw = {}
    for tensor, shape in tensors.items():
        b = random.integers(0, 256, (shape[0] * shape[1] // length, size), dtype=np.uint8)
        for at in scales:
            half = np.frombuffer(b[:, at:at + 2].tobytes(), np.uint16).copy()
            half[half & 0x7c00 == 0x7c00] &= 0x83ff  # neither infinity nor NaN
            b[:, at:at + 2] = np.frombuffer(half.tobytes(), np.uint8).reshape(-1, 2)
        raw[tensor] = b.reshape(shape[0], -1)
    write(work / "raw.gguf", 0, kind, raw)
    quantize(work / "raw.gguf", work / "wide.gguf", "F32", "--allow-requantize")
    more = np.array(read(work / "wide.gguf", "blk.0.ffn_up.weight").data).reshape(-1)[:512]
    with open(out / (name.lower() + ".blocks"), "wb") as f:
        f.write(blocks.tobytes() + raw["blk.0.ffn_up.weight"].reshape(-1, size)[:512 // length].tobytes())
        f.write(want.astype("<f4").tobytes() + more.astype("<f4").tobytes())
    print(name, read(work / "q.gguf", "blk.0.ffn_up.weight").tensor_type.name, len(blocks))

numbers = random.standard_normal(512).astype(np.float32) * np.float32(0.02)
scales, zeros, codes = quantized.groups4(numbers.reshape(-1, 64))
scales = np.concatenate([scales, random.standard_normal(8).astype(np.float16)])
zeros = np.concatenate([zeros, random.integers(0, 256, 8, dtype=np.uint8)])
codes = np.concatenate([codes, random.integers(0, 16, (8, 64), dtype=np.uint8)])
with open(out / "u4.blocks", "wb") as f:
    for scale, zero, block in zip(scales, zeros, codes):
        f.write(scale.astype("<f2").tobytes() + bytes([zero, 0]) + (block[0::2] | block[1::2] << 4).tobytes())
    f.write((scales.astype(np.float32)[:, None] * (codes.astype(np.float32) - zeros[:, None])).astype("<f4").tobytes())

for name, (length, pack, widen) in quantized.BLOCKS.items():
    scales, numbers = pack(random.standard_normal(512).astype(np.float32) * np.float32(0.02))
    more = random.standard_normal(512 // length).astype(np.float32)
    bits = random.integers(0, 256, 512 * numbers.size // 512, dtype=np.uint8)
    if name == "FP8":
        bits[bits & 127 == 127] ^= 1  # no NaN
    scales, numbers = np.concatenate([scales, more]), np.concatenate([numbers, bits])
    with open(out / (name.lower() + ".blocks"), "wb") as f:
        for scale, block in zip(scales, numbers.reshape(len(scales), -1)):
            f.write(scale.astype("<f4").tobytes() + block.tobytes())
        f.write(widen(scales, numbers).astype("<f4").tobytes())
    print(name)
