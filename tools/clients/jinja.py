"""Compares how chat templates are rendered with transformers, whose templates jinja2 renders.

usage: jinja.py FOLDER [--want FILE]

FOLDER holds cases.json, [{"name": …, "template": …, "values": {…}, "text": … or null where it is refused}, …], as
`go test ./internal/jinja -run TestCasesForTransformers` writes it where AGORA_TRANSFORMERS names a folder.
A case is equal if the texts are, or if it is refused, or if both fail. Prints how many are which; exits with 1 if one
differs, or if jinja2 fails where a text was given.

--want FILE writes what transformers renders, null where it fails, in the form of
internal/jinja/testdata/models.json: that file is made by it.
"""

import datetime
import json
import re
import sys

import jinja2
import transformers
from transformers.utils.chat_template_utils import _compile_jinja_template

# An environment as transformers makes one, but for the time.
environment = _compile_jinja_template("").environment
environment.globals["strftime_now"] = datetime.datetime(2024, 7, 6, 9, 8, 7).strftime


def render(case):
    try:
        text = environment.from_string(case["template"]).render(**json.loads(json.dumps(case["values"])))
    except Exception:  # whatever a template may do
        return None
    return re.sub(r"0x[0-9a-f]{6,}", "0x…", text)


if __name__ == "__main__":
    with open(sys.argv[1] + "/cases.json") as f:
        cases = json.load(f)
    counts = dict.fromkeys(["equal", "refused", "fail in both", "differ"], 0)
    wants = {}
    for case in cases:
        want = render(case)
        if "model" in case:
            wants.setdefault(case["model"], {})[case["context"]] = want
        if case["text"] is None:
            what = "fail in both" if want is None else "refused"
        else:
            what = "equal" if want == case["text"] else "differ"
        counts[what] += 1
        if what == "differ":
            print(case["name"], "Agora: " + repr(case["text"]), "jinja2: " + repr(want), sep="\n  ")
    if len(sys.argv) > 2:
        with open(sys.argv[3], "w") as f:
            json.dump(wants, f, ensure_ascii=False, indent=1)
            f.write("\n")
    print(f"transformers {transformers.__version__}, jinja2 {jinja2.__version__}: {len(cases)} cases,",
          ", ".join(f"{n} {what}" for what, n in counts.items()))
    sys.exit(1 if counts["differ"] or not cases else 0)
