"""Makes internal/torchfile/testdata: usage: torchfile.py OUT

OUT/forms.bin is a state dict as torch.save writes it, with tensors of every type and view that a reader meets, and
OUT/forms.json their shapes and numbers. Needs torch.
"""

import collections
import json
import os
import sys

import torch

generator = torch.Generator().manual_seed(1)
a = torch.randn(3, 4, generator=generator)
state = collections.OrderedDict(
    f32=a, transposed=a.T, column=a[:, 1], row=a[2], every_second=a[::2], one=a[1:2, 2:3], number=torch.tensor(1.5),
    empty=torch.zeros(0, 4), f64=a.double(), f16=a.half(), bf16=a.bfloat16(), parameter=torch.nn.Parameter(a + 1),
    permuted=torch.randn(2, 3, 4, generator=generator).permute(2, 0, 1))
state._metadata = collections.OrderedDict([("", dict(version=1)), ("x", dict(version=-300000, y=None, z=True))])
torch.save(state, os.path.join(sys.argv[1], "forms.bin"))
with open(os.path.join(sys.argv[1], "forms.json"), "w") as f:
    json.dump({n: {"dtype": str(t.dtype), "shape": list(t.shape), "numbers": t.detach().float().flatten().tolist()}
               for n, t in state.items()}, f, indent=1)
