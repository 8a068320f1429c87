"""Generation in llama.cpp, for agora bench generate --beside 'python3 tools/beside/llamacpp.py'.

Reads on stdin what is measured, as JSON: a LLaMA's config.json, the type of the weights, tokens, threads. Writes a GGUF
file of that shape with random weights into a temporary folder (once a shape and type), has llama-quantize bring it to
the type, measures with llama-bench, or llama-batched-bench where there are several texts, and prints rates as JSON.
Needs llama.cpp's tools, NumPy and the gguf package.
"""

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile

import gguf
import numpy as np

TYPES = {"f32": "F32", "f16": "F16", "bf16": "BF16", "q8": "Q8_0", "q4": "Q4_0", "q4_k": "Q4_K_M"}
HEADS = {"q4": "q8_0", "q4_k": "q6_k"}  # of the embedding and the head, where Agora gives these more bits than the rest


def write(path, c):
    """Writes a LLaMA with random weights, in f32."""
    w = gguf.GGUFWriter(path, "llama")
    heads, kv = c["num_attention_heads"], c["num_key_value_heads"]
    wide, inner, vocab = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
    size = c.get("head_dim") or wide // heads
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(wide)
    w.add_block_count(c["num_hidden_layers"])
    w.add_feed_forward_length(inner)
    w.add_head_count(heads)
    w.add_head_count_kv(kv)
    w.add_key_length(size)
    w.add_value_length(size)
    w.add_rope_dimension_count(size)
    w.add_rope_freq_base(float(c.get("rope_theta") or 10000))
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    w.add_vocab_size(vocab)
    w.add_tokenizer_model("llama")
    w.add_token_list(["<unk>", "<s>", "</s>"] + [f"w{i}" for i in range(3, vocab)])
    w.add_token_scores([0.0] * vocab)
    w.add_token_types([2, 3, 3] + [1] * (vocab - 3))
    random = np.random.default_rng(0)

    def add(name, *shape):
        w.add_tensor(name, random.standard_normal(shape, dtype=np.float32) * np.float32(0.02))

    add("token_embd.weight", vocab, wide)
    if not c.get("tie_word_embeddings"):
        add("output.weight", vocab, wide)
    w.add_tensor("output_norm.weight", np.ones(wide, np.float32))
    for i in range(c["num_hidden_layers"]):
        block = f"blk.{i}."
        w.add_tensor(block + "attn_norm.weight", np.ones(wide, np.float32))
        w.add_tensor(block + "ffn_norm.weight", np.ones(wide, np.float32))
        add(block + "attn_q.weight", heads * size, wide)
        add(block + "attn_k.weight", kv * size, wide)
        add(block + "attn_v.weight", kv * size, wide)
        add(block + "attn_output.weight", wide, heads * size)
        add(block + "ffn_gate.weight", inner, wide)
        add(block + "ffn_up.weight", inner, wide)
        add(block + "ffn_down.weight", wide, inner)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def model(task):
    """Gives the path of the model, which is made where it is not there yet."""
    c, kind = task["shape"], TYPES.get(task["dtype"])
    if kind is None:
        sys.exit(f"no such type here: {task['dtype']}")
    folder = os.path.join(tempfile.gettempdir(), "agora-beside")
    os.makedirs(folder, exist_ok=True)
    name = hashlib.sha256(json.dumps(c, sort_keys=True).encode()).hexdigest()[:12]
    head = HEADS.get(task["dtype"])
    plain, path = (os.path.join(folder, f"{name}-{k}.gguf") for k in ("F32", f"{kind}-{head}" if head else kind))
    if not os.path.exists(plain):
        write(plain + ".tmp", c)
        os.rename(plain + ".tmp", plain)
    if not os.path.exists(path):
        heads = ["--token-embedding-type", head, "--output-tensor-type", head] if head else []
        subprocess.run(["llama-quantize", "--pure", *heads, plain, path + ".tmp", kind], check=True, stdout=sys.stderr)
        os.rename(path + ".tmp", path)
    return path


def llama_bench(task):
    """Measures one text: the prompt alone, then tokens after it, which a version without -d writes after nothing."""
    shared = ["llama-bench", "-m", model(task), "-r", str(task["rounds"]), "-t", str(task["threads"]), "-ngl", "0", "-o", "json"]
    helps = subprocess.run(["llama-bench", "--help"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    deep = ["-d", str(task["prompt"])] if "--n-depth" in helps else []
    rates, depth = {}, 0
    for arguments in (["-p", str(task["prompt"]), "-n", "0"], ["-p", "0", "-n", str(task["tokens"]), *deep]):
        ran = subprocess.run(shared + arguments, check=True, stdout=subprocess.PIPE)
        for test in json.loads(ran.stdout):
            rates["tokens_per_s" if test["n_gen"] else "prompt_tokens_per_s"] = test["avg_ts"]
            build, depth = test["build_number"], test.get("n_depth", 0)
    return {"name": f"llama.cpp b{build}, {task['dtype']}, tokens after {depth}", **rates}


def llama_batched_bench(task):
    """Measures several texts at once, each after a prompt of its own; rates are medians of all texts together."""
    room = task["rows"] * (task["prompt"] + task["tokens"])
    ran = subprocess.run(
        ["llama-batched-bench", "-m", model(task), "-npp", str(task["prompt"]), "-ntg", str(task["tokens"]),
         "-npl", ",".join([str(task["rows"])] * task["rounds"]), "-c", str(room), "-t", str(task["threads"]), "-ngl", "0",
         "--output-format", "jsonl"], check=True, stdout=subprocess.PIPE, text=True)
    tests = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    return {"name": f"llama-batched-bench, {task['dtype']}, {task['rows']} texts",
            "tokens_per_s": statistics.median(t["speed_tg"] for t in tests),
            "prompt_tokens_per_s": statistics.median(t["speed_pp"] for t in tests)}


def main():
    task = json.load(sys.stdin)
    print(json.dumps(llama_bench(task) if task["rows"] == 1 else llama_batched_bench(task)))


main()
