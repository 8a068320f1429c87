"""Renders table.json with Python's jinja2 in the settings of transformers, and compares.

    pip install jinja2==3.1.6; python3 check.py < table.json
"""

import datetime
import json
import re
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("write"), [], [], body).set_lineno(line)

    def write(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


environment = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
)
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = raise_exception
environment.globals["strftime_now"] = datetime.datetime(2024, 7, 6, 9, 8, 7).strftime

table = json.load(sys.stdin)
wrong = 0
for case in table["cases"]:
    values = json.loads(json.dumps(table["contexts"][case["context"]]))
    try:
        got = re.sub(r"0x[0-9a-f]{6,}", "0x…", environment.from_string(case["template"]).render(**values))
    except Exception:
        got = None
    if got != case.get("want"):
        wrong += 1
        print(case["template"], case.get("want"), got, sep="\n  ")
print(len(table["cases"]), "cases,", wrong, "differ")
sys.exit(wrong > 0)
