"""Makes the reference cases of PEFT adapters: usage: adapters.py GOLDEN [NAME …]

GOLDEN is a folder like testdata/golden, with the bases that the cases name. Each case gets a folder
GOLDEN/NAME with an adapter of random numbers as PEFT saves it, and what PEFT computes with it;
GOLDEN/peft-patterns.json is what Python matches, as PEFT does for target_modules.
testdata/golden/README.md says what they hold. Needs torch, transformers, safetensors and peft; all is
computed in float32 on the CPU.
"""

import json
import os
import re
import sys
import warnings

import torch
from peft import LoraConfig, get_peft_model
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from families import contiguous, loss_of, train

OPTIMIZER = {"name": "AdamW", "lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.1,
             "clip_grad_norm": 1.0}

# base, the LoRA, and whether PEFT trains it as one would: of a tied head it has two parameters that share
# their memory, each with moments of its own.
CASES = {
    "peft-head-embedding": ("llama-gqa", True, dict(
        r=4, lora_alpha=6, use_rslora=True, target_modules=["q_proj", "lm_head", "embed_tokens"],
        rank_pattern={"lm_head": 3}, alpha_pattern={"embed_tokens": 5})),
    "peft-tied": ("gemma2", False, dict(
        r=3, lora_alpha=4, target_modules=["v_proj", "embed_tokens"], ensure_weight_tying=True)),
    "peft-bias": ("qwen3-window", True, dict(
        r=2, lora_alpha=5, lora_bias=True, target_modules=["q_proj", "o_proj"])),
    "peft-bias-new": ("llama-gqa", True, dict(
        r=2, lora_alpha=3, lora_bias=True, use_rslora=True, target_modules=["v_proj", "down_proj"])),
    "peft-tokens": ("llama-gqa", True, dict(
        r=2, lora_alpha=4, target_modules=["v_proj"],
        trainable_token_indices={"embed_tokens": [5, 7, 300, 40], "lm_head": [7, 9]})),
    "peft-tokens-tied": ("gemma3", True, dict(
        r=2, lora_alpha=4, target_modules=["q_proj"], trainable_token_indices=[3, 17, 150])),
    "peft-lookahead": ("llama-gqa", False, dict(
        r=2, lora_alpha=4, target_modules=r".*layers\.(?!0\b)\d+\.self_attn\.(?:q|v)_proj|.*(?<=gate)_proj",
        exclude_modules=r".*1.*(?=gate).*", rank_pattern={r"(?!.*v_proj).*": 3})),
    "peft-bin": ("llama-gqa", False, dict(r=2, lora_alpha=4, target_modules=["v_proj", "up_proj"])),  # by torch.save
    "peft-dora": ("llama-gqa", True, dict(
        r=3, lora_alpha=4, use_dora=True, target_modules=["q_proj", "down_proj"])),
}


def batch(folder):
    with safe_open(os.path.join(folder, "case.safetensors"), "pt") as f:
        return f.get_tensor("input_ids").long(), f.get_tensor("labels").long()


def trainable(model):
    return {n: p for n, p in model.named_parameters() if p.requires_grad}


def randomize(model, generator):
    with torch.no_grad():
        for name, p in trainable(model).items():
            noise = torch.randn(p.shape, generator=generator)
            if "tokens_delta" in name or "magnitude" in name:
                p.add_(0.3 * noise * p.abs().mean())
            elif name.endswith("bias"):
                p.copy_(0.3 * noise)
            else:
                p.copy_(noise / max(p.shape) ** 0.5)


def tie_gradients(grads):
    """Of a tied head: the embedding's A and B have the sum of both uses."""
    for name in list(grads):
        if name.endswith("lm_head.lora_A.default.weight"):
            grads[name.replace("lm_head.lora_A.default.weight", "model.embed_tokens.lora_embedding_B.default")] += \
                grads.pop(name).T
        elif name.endswith("lm_head.lora_B.default.weight"):
            grads[name.replace("lm_head.lora_B.default.weight", "model.embed_tokens.lora_embedding_A.default")] += \
                grads.pop(name).T


def make(out, name, base, trains, settings):
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    folder = os.path.join(out, base)
    load = lambda: AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    model = get_peft_model(load(), LoraConfig(task_type="CAUSAL_LM", bias="none", **settings)).eval()
    tied = settings.get("ensure_weight_tying", False)
    randomize(model, generator)
    ids, labels = batch(folder)
    logits = model(input_ids=ids, use_cache=False).logits
    loss = loss_of(logits, labels)
    loss.backward()
    grads = {n: p.grad.clone() for n, p in trainable(model).items()}
    if tied:
        tie_gradients(grads)
    case = {"input_ids": ids, "labels": labels, "logits": logits, "loss": loss[None]}
    case |= {"grad." + n: g for n, g in grads.items()}
    to = os.path.join(out, name)
    model.save_pretrained(to, safe_serialization=name != "peft-bin")
    os.remove(os.path.join(to, "README.md"))
    with open(os.path.join(to, "adapter_config.json")) as f:
        config = json.load(f)
    config["base_model_name_or_path"] = base
    if isinstance(config["target_modules"], list):  # a set, in any order
        config["target_modules"].sort()
    with open(os.path.join(to, "adapter_config.json"), "w") as f:
        json.dump(config, f, indent=2)
    spec = {"kind": "peft", "base": base}
    if trains:
        spec["optimizer"] = OPTIMIZER
        model.zero_grad()
        params = trainable(model)
        losses, norms, rates = train(model, params, ids, labels)
        case |= {"train.loss": torch.tensor(losses), "train.grad_norm": torch.tensor(norms),
                 "train.lr": torch.tensor(rates)}
        case |= {"trained." + n: p for n, p in params.items()}
        print(name, [round(x, 4) for x in losses])
    # Merged from what was saved: PEFT reads its own folder.
    from peft import PeftModel
    again = PeftModel.from_pretrained(load(), to).eval()
    with torch.no_grad():
        assert (again(input_ids=ids, use_cache=False).logits - logits).abs().max() < 1e-5, name
        # There PEFT has no bias to add to; and of a tied head it adds the change to the one weight twice.
        if name not in ("peft-bias-new", "peft-tied"):
            case["merged_logits"] = again.merge_and_unload()(input_ids=ids, use_cache=False).logits
            print(name, "merged", (case["merged_logits"] - logits).abs().max().item())
    save_file(contiguous(case), os.path.join(to, "case.safetensors"))
    with open(os.path.join(to, "case.json"), "w") as f:
        json.dump(spec, f, indent=1)


NAMES = [f"model.layers.{i}.{part}" for i in (0, 1, 10, 21) for part in
         ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.down_proj")] + [
             "model.embed_tokens", "lm_head", "model.norm", "x]", "a-b", "q{,2}", "qq", "abab", "aab"]
PATTERNS = [
    r".*q_proj", r".*\.(q|v)_proj", r"q_proj", r"", r".*", r".*layers\.[01]\..*", r"(?i).*Q_PROJ", r"(?s).*k_proj$",
    r"^model\.layers\.\d+\.mlp\.\w+$", r"[^.]*", r"lm_head|.*v_proj", r".*\b1\b.*", r"[]x]+", r"[^]]+", r"[[x]\]",
    r"(?P<a>.*)_proj", r".*layers\.(?:0|21)\..*(?:gate|down)_proj", r"a-b|[\w]+", r"q{2}", r"q{0,2}",
    r"(?!.*lm_head).*", r"(?!.*\.0\.).*q_proj", r".*(?=v_proj).*", r".*(?<=gate)_proj", r".*(?<!gate)_proj",
    r"^(?!.*(?:down|gate)).*layers.*$", r"(?=.*self_attn)(?!.*k_proj).*", r".*layers\.(?!1\b|10)\d+\..*", r"(ab)\1",
    r"(a+)\1b", r"(.)\1", r"(?>a+)b", r"(?>a+)ab", r".*\.(\d)\1?\.self_attn(?=\.q).*", r"(?:(?!proj).)*",
    r"(?=model)[a-z.]+", r".*?(?=norm)norm", r"(?<=)lm_head(?!s)", r"(?!)", r"(?=)",
]


def patterns(out):
    with open(os.path.join(out, "peft-patterns.json"), "w") as f:
        json.dump({"names": NAMES, "matched": {p: [n for n in NAMES if re.fullmatch(p, n)] for p in PATTERNS}}, f, indent=1)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    patterns(sys.argv[1])
    for name in sys.argv[2:] or CASES:
        make(sys.argv[1], name, *CASES[name])
