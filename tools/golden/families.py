"""Makes the reference cases of model families: usage: families.py OUT [NAME …]

Each family gets a folder OUT/NAME with a tiny random model as transformers saves it, and
OUT/NAME-multilora with a MultiLoRA on all its projections. testdata/golden/README.md says
what they hold. Needs torch, transformers and safetensors; all is computed in float32 on the CPU.
"""

import copy
import json
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

ROWS, TOKENS, VOCAB = 2, 24, 160
PROMPT, NEW = 6, 16

COMMON = dict(
    vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    tie_word_embeddings=False,
)
SEPARATE = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TARGETS = {
    "phi3": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"],
    "mixtral": ["q_proj", "k_proj", "v_proj", "o_proj", "w1", "w2", "w3"],
}

FAMILIES = {
    "qwen3": dict(model_type="qwen3", head_dim=16, rope_theta=1e6),
    "qwen3-window": dict(model_type="qwen3", head_dim=8, attention_bias=True, use_sliding_window=True,
                         sliding_window=5, max_window_layers=1, num_hidden_layers=2),
    "olmo2": dict(model_type="olmo2", rope_theta=5e5),
    "smollm3": dict(model_type="smollm3", num_hidden_layers=3, no_rope_layers=[1, 0, 1], tie_word_embeddings=True,
                    rope_theta=5e4),
    "granite": dict(model_type="granite", embedding_multiplier=3.0, attention_multiplier=0.2,
                    residual_multiplier=0.4, logits_scaling=2.5, tie_word_embeddings=True),
    "gemma2": dict(model_type="gemma2", head_dim=16, query_pre_attn_scalar=12, sliding_window=7,
                   attn_logit_softcapping=5.0, final_logit_softcapping=4.0, tie_word_embeddings=True),
    "gemma3": dict(model_type="gemma3_text", head_dim=16, query_pre_attn_scalar=20, sliding_window=6,
                   num_hidden_layers=3, sliding_window_pattern=3, rope_theta=1e5, rope_local_base_freq=500.0,
                   rope_scaling={"rope_type": "linear", "factor": 4.0}, tie_word_embeddings=True),
    "phi3": dict(model_type="phi3", sliding_window=9),
    # Past 22 positions the long factors count: in the batch, not in the short greedy text.
    "phi3-longrope": dict(model_type="phi3", num_attention_heads=2, num_key_value_heads=1,
                          original_max_position_embeddings=22, partial_rotary_factor=0.75,
                          rope_scaling={"type": "longrope", "short_factor": [1.0, 1.1, 1.3, 1.4, 1.6, 1.7],
                                        "long_factor": [1.0, 1.5, 2.5, 4.0, 6.0, 9.0]}),
    # Here they come to count in the middle of the greedy text.
    "phi3-longrope-crossed": dict(model_type="phi3", num_attention_heads=2, num_key_value_heads=1,
                                  original_max_position_embeddings=14,
                                  rope_scaling={"type": "longrope", "short_factor": [1.0 + i / 8 for i in range(8)],
                                                "long_factor": [1.0 + i for i in range(8)]}),
    "ministral": dict(model_type="ministral", head_dim=16, sliding_window=4,
                      layer_types=["sliding_attention", "full_attention"]),
    "ministral3": dict(model_type="ministral3", head_dim=16,
                       rope_parameters={"rope_type": "yarn", "rope_theta": 1e4, "factor": 8.0, "beta_fast": 2.0,
                                        "beta_slow": 0.5, "mscale": 1.0, "mscale_all_dim": 1.0,
                                        "llama_4_scaling_beta": 0.3, "original_max_position_embeddings": 8}),
    "llama-yarn": dict(model_type="llama", rope_scaling={
        "rope_type": "yarn", "factor": 4.0, "beta_fast": 2.0, "beta_slow": 0.25,
        "original_max_position_embeddings": 16}),
    "llama-dynamic": dict(model_type="llama", rope_scaling={"rope_type": "dynamic", "factor": 4.0},
                          max_position_embeddings=16),  # longer texts are stretched
    # Stored in bfloat16, computed in float32.
    "qwen3-bf16": dict(model_type="qwen3", head_dim=16, rope_theta=1e6, tie_word_embeddings=True, dtype="bfloat16"),
    "gemma3-bf16": dict(model_type="gemma3_text", head_dim=16, query_pre_attn_scalar=16, sliding_window=5,
                        num_hidden_layers=3, sliding_window_pattern=2, rope_theta=2e5, rope_local_base_freq=400.0,
                        tie_word_embeddings=True, dtype="bfloat16"),
    "qwen3_moe": dict(model_type="qwen3_moe", head_dim=16, rope_theta=1e6, moe_intermediate_size=24, num_experts=6,
                      num_experts_per_tok=3, norm_topk_prob=True, num_hidden_layers=3, mlp_only_layers=[1]),
    # Weights of the chosen experts whose sum is below 1, in every second layer.
    "qwen3_moe-sparse": dict(model_type="qwen3_moe", head_dim=8, attention_bias=True, use_sliding_window=True,
                             sliding_window=7, moe_intermediate_size=16, num_experts=5, num_experts_per_tok=2,
                             norm_topk_prob=False, decoder_sparse_step=2, tie_word_embeddings=True),
    "mixtral": dict(model_type="mixtral", num_local_experts=4, num_experts_per_tok=2, intermediate_size=40,
                    rope_theta=1e6),
    "mixtral-bf16": dict(model_type="mixtral", num_local_experts=4, num_experts_per_tok=2, intermediate_size=32,
                         sliding_window=8, dtype="bfloat16"),
    "exaone4": dict(model_type="exaone4", sliding_window=6, sliding_window_pattern=2),  # docs/add-a-model.md's
}


class Expert(torch.nn.Module):
    """One expert of a mixture, with its linear layers by the names of the saved tensors."""

    def __init__(self, names, gate_up, down, act):
        super().__init__()
        self.names, self.act = names, act
        for name, weight in zip(names, [*gate_up.chunk(2), down]):
            layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
            layer.weight = torch.nn.Parameter(weight.clone())
            setattr(self, name, layer)

    def forward(self, x):
        gate, up, down = (getattr(self, name) for name in self.names)
        return down(self.act(gate(x)) * up(x))


class Experts(torch.nn.ModuleList):
    """The experts of a layer, which transformers holds in one tensor, as PEFT adapts them."""

    def forward(self, x, chosen, weights):
        y = torch.zeros_like(x)
        for e, expert in enumerate(self):
            token, place = torch.where(chosen == e)
            if len(token):
                y = y.index_add(0, token, expert(x[token]) * weights[token, place, None])
        return y


def expert_names(model):
    """The names of an expert's gate, up and down."""
    return ["w1", "w3", "w2"] if model.config.model_type == "mixtral" else ["gate_proj", "up_proj", "down_proj"]


def separate_experts(model):
    """Lets the experts of a mixture be layers of their own; the names of modules, by those of saved tensors."""
    names = expert_names(model)
    for layer in model.model.layers:
        if hasattr(layer.mlp, "experts"):
            old = layer.mlp.experts
            layer.mlp.experts = Experts(
                [Expert(names, up, down, old.act_fn) for up, down in zip(old.gate_up_proj, old.down_proj)])


def saved_name(model, name):
    """The name of a tensor, or of a module, where the model is saved."""
    return name.replace(".mlp.", ".block_sparse_moe.") if model.config.model_type == "mixtral" else name


def saved_tensors(model):
    """The parameters by the names of saved tensors; those of experts are parts of a parameter."""
    for name, p in model.named_parameters():
        layer, _, last = saved_name(model, name).rpartition(".")
        gate, up, down = expert_names(model)
        if last == "gate_up_proj" and p.ndim == 3:
            for e, weights in enumerate(p):
                for part, w in zip([gate, up], weights.chunk(2)):
                    yield f"{layer}.{e}.{part}.weight", w
        elif last == "down_proj" and p.ndim == 3:
            for e, w in enumerate(p):
                yield f"{layer}.{e}.{down}.weight", w
        else:
            yield saved_name(model, name), p


def random_weights(model, generator):
    """Weights of a size at which every part of a model counts."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if p.ndim == 1 and not name.endswith("bias"):
                p.copy_(p + 0.3 * noise)  # a norm, around 1 or, in Gemma, 0
            elif p.ndim == 1:
                p.copy_(0.3 * noise)
            elif "embed" in name:
                p.copy_(0.5 * noise)
            else:
                p.copy_(1.5 * noise / p.shape[-1] ** 0.5)


def loss_of(logits, labels):
    return torch.nn.functional.cross_entropy(
        logits[:, :-1].reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1), ignore_index=-100)


def greedy(model, prompt):
    ids = prompt.clone()
    for _ in range(NEW):
        with torch.no_grad():
            logits = model(ids[None], use_cache=False).logits[0, -1]
        best = logits.topk(2).values
        assert best[0] - best[1] > 1e-4, "too close a call: take another seed"
        ids = torch.cat([ids, logits.argmax()[None]])
    return ids


class MultiLoRA(torch.nn.Module):
    """y = W x + alpha / rank * sum of s_i B_i A_i x."""

    def __init__(self, base, modules, rank, alpha, generator):
        super().__init__()
        self.base, self.factor = base, alpha / rank
        out, width = base.weight.shape
        draw = lambda *shape: torch.nn.Parameter(torch.randn(shape, generator=generator) / width ** 0.5)
        self.A = torch.nn.ParameterList([draw(rank, width) for _ in range(modules)])
        self.B = torch.nn.ParameterList([draw(out, rank) for _ in range(modules)])
        self.s = torch.nn.ParameterList(
            [torch.nn.Parameter(0.5 + torch.rand(1, generator=generator)) for _ in range(modules)])

    def delta(self):
        return self.factor * sum(s * b @ a for a, b, s in zip(self.A, self.B, self.s))

    def forward(self, x):
        return self.base(x) + self.factor * sum(s * (x @ a.T @ b.T) for a, b, s in zip(self.A, self.B, self.s))


def adapt(model, targets, case, generator):
    adapters = {}
    for p in model.parameters():
        p.requires_grad_(False)
    for name, module in list(model.named_modules()):
        if name.rsplit(".", 1)[-1] in targets:
            parent, layer = name.rsplit(".", 1)
            adapter = MultiLoRA(module, case["modules"], case["rank"], case["alpha"], generator)
            setattr(model.get_submodule(parent), layer, adapter)
            adapters[saved_name(model, name)] = adapter
    return adapters


def parameters(adapters):
    return {f"{layer}.{part}.{i}": p for layer, a in adapters.items() for part in "ABs"
            for i, p in enumerate(getattr(a, part))}


def train(model, params, ids, labels, steps=10, lr=0.01, decay=0.1, clip=1.0):
    optimizer = torch.optim.AdamW(params.values(), lr=lr, weight_decay=decay)
    factor = lambda k: k / 2 if k < 2 else 0.5 * (1 + torch.cos(torch.tensor(torch.pi * (k - 2) / (steps - 2))).item())
    losses, norms, rates = [], [], []
    for k in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * factor(k)
        optimizer.zero_grad()
        loss = loss_of(model(ids, use_cache=False).logits, labels)
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(params.values(), clip).item())
        losses.append(loss.item())
        rates.append(lr * factor(k))
        optimizer.step()
    return losses, norms, rates


def contiguous(tensors):
    return {name: t.detach().clone().contiguous() for name, t in tensors.items()}


def make(out, name, settings, replace=None):
    """A family's two folders; replace may change the model's weights."""
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    settings = COMMON | settings
    stored = getattr(torch, settings.pop("dtype", "float32"))
    config = AutoConfig.for_model(**settings)
    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config, torch_dtype=torch.float32).eval()
    random_weights(model, generator)
    if replace:
        replace(model)
    for p in model.parameters():
        p.data = p.data.to(stored).float()
    model.generation_config.pad_token_id = None

    folder = os.path.join(out, name)
    copy.deepcopy(model).to(stored).save_pretrained(folder)
    ids = torch.randint(3, VOCAB, (ROWS, TOKENS), generator=generator)
    labels = ids.clone()
    labels[0, :7], labels[1, 20:] = -100, -100
    text = greedy(model, ids[0, :PROMPT])
    logits = model(ids, use_cache=False).logits
    if "moe" in settings["model_type"] or settings["model_type"] == "mixtral":
        separate_experts(model)
        separate = model(ids, use_cache=False).logits
        assert torch.allclose(logits, separate, atol=1e-5), "separate experts compute something else"
        logits = separate
    loss = loss_of(logits, labels)
    loss.backward()
    case = {"input_ids": ids, "labels": labels, "logits": logits, "loss": loss[None], "prompt": ids[0, :PROMPT],
            "greedy": text}
    case |= {"grad." + saved_name(model, n): p.grad for n, p in model.named_parameters()}
    save_file(contiguous(case), os.path.join(folder, "case.safetensors"))
    with open(os.path.join(folder, "case.json"), "w") as f:
        json.dump({"kind": "causal-lm"}, f)

    spec = {"kind": "multilora", "base": name, "modules": 2, "rank": 2, "alpha": 4, "scaling": "scalar",
            "targets": TARGETS.get(settings["model_type"], SEPARATE),
            "optimizer": {"name": "AdamW", "lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.1,
                          "clip_grad_norm": 1.0}}
    adapters = adapt(model, spec["targets"], spec, generator)
    params = parameters(adapters)
    case = {"input_ids": ids, "labels": labels} | {"init." + n: p.detach().clone() for n, p in params.items()}
    for layer, a in adapters.items():
        if layer.endswith(("k_proj", "v_proj")):
            case["delta." + layer] = a.delta()
            case["singular_values." + layer] = torch.linalg.svdvals(a.delta().detach())
    logits = model(ids, use_cache=False).logits
    loss = loss_of(logits, labels)
    loss.backward()
    case |= {"logits": logits, "loss": loss[None]} | {"grad." + n: p.grad.clone() for n, p in params.items()}
    losses, norms, rates = train(model, params, ids, labels)
    case |= {"train.loss": torch.tensor(losses), "train.grad_norm": torch.tensor(norms),
             "train.lr": torch.tensor(rates)}
    case |= {"trained." + n: p for n, p in params.items()}
    folder += "-multilora"
    os.makedirs(folder, exist_ok=True)
    save_file(contiguous(case), os.path.join(folder, "case.safetensors"))
    with open(os.path.join(folder, "case.json"), "w") as f:
        json.dump(spec, f, indent=1)
    print(name, [round(x, 4) for x in losses])


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[2:] or FAMILIES:
        make(sys.argv[1], name, FAMILIES[name])
