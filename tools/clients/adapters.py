"""Compares the logits of adapters in PEFT with Agora's.

usage: adapters.py FOLDER

FOLDER holds NAME/base, NAME/adapter and NAME/answer.json, {"ids": [rows], "logits": […]}, as
`go test ./multilora -run TestAdaptersForPEFT` writes them where AGORA_PEFT names a folder.
Prints the largest difference of each adapter, beside the model and merged into it by PEFT; exits
with 1 if one is more than the limit.
"""

import json
import os
import sys
import warnings

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
from transformers.utils import logging

LIMIT = 2e-5
# What PEFT does not merge, or not as it runs it: a change of a weight that is embedding and head is added twice.
# A bias of B has no place in a layer without one.
NOT_MERGED = ("tied", "bias")


def compare(folder):
    with open(os.path.join(folder, "answer.json")) as f:
        want = json.load(f)
    base = AutoModelForCausalLM.from_pretrained(
        os.path.join(folder, "base"), dtype=torch.float32, attn_implementation="eager")
    model = PeftModel.from_pretrained(base, os.path.join(folder, "adapter")).eval()
    ids = torch.tensor(want["ids"])
    differences = []
    with torch.no_grad():
        logits = model(input_ids=ids, use_cache=False).logits
        values = torch.tensor(want["logits"]).reshape(logits.shape)
        differences.append((logits - values).abs().max().item())
        with model.disable_adapter():
            assert (model(input_ids=ids, use_cache=False).logits - values).abs().max() > 0.01, "it changes nothing"
        if os.path.basename(folder) not in NOT_MERGED:
            merged = model.merge_and_unload()(input_ids=ids, use_cache=False).logits
            differences.append((merged - values).abs().max().item())
    return differences


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    names, off = sorted(os.listdir(sys.argv[1])), []
    for name in names:
        worst = compare(os.path.join(sys.argv[1], name))
        print(f"{name:30}", *(f"{x:.2g}" for x in worst), flush=True)
        off += [name] if not max(worst) <= LIMIT else []
    if off or not names:
        sys.exit(f"off: {off}" if off else "no folders")
