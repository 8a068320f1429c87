"""Checks Kubernetes manifests against the schemas of their kinds: fields, types, choices and what is required.

    python3 manifests.py MANIFEST.yaml... -- CRD.yaml...

The schemas are custom resource definitions as their projects publish them, of Kubeflow here:
kubeflow/mpi-operator's manifests/base/kubeflow.org_mpijobs.yaml, and kubeflow/trainer's
manifests/base/crds/trainer.kubeflow.org_{trainjobs,trainingruntimes}.yaml. Needs PyYAML.
"""

import sys

import yaml

KINDS = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}


def wrong(value, schema, at):
    """Gives a line for each thing that the schema does not allow."""
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, (int, str)):
            yield f"{at}: want a number or a string, got {value!r}"
        return
    kind = KINDS.get(schema.get("type"))
    if kind and (not isinstance(value, kind) or kind is int and isinstance(value, bool)):
        yield f"{at}: want {schema['type']}, got {value!r}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: want one of {schema['enum']}, got {value!r}"
    if isinstance(value, list):
        for i, item in enumerate(value):
            yield from wrong(item, schema.get("items", {}), f"{at}[{i}]")
    if not isinstance(value, dict):
        return
    for name in schema.get("required", []):
        if name not in value:
            yield f"{at}.{name}: is missing"
    fields, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name, item in value.items():
        if name in fields:
            yield from wrong(item, fields[name], f"{at}.{name}")
        elif isinstance(others, dict):
            yield from wrong(item, others, f"{at}.{name}")
        elif fields and not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield f"{at}.{name}: no such field"


def main():
    split = sys.argv.index("--")
    schemas = {}
    for path in sys.argv[split + 1 :]:
        for crd in yaml.safe_load_all(open(path)):
            for version in crd["spec"]["versions"]:
                key = crd["spec"]["group"] + "/" + version["name"], crd["spec"]["names"]["kind"]
                schemas[key] = version["schema"]["openAPIV3Schema"]
    found = 0
    for path in sys.argv[1:split]:
        for manifest in yaml.safe_load_all(open(path)):
            key = manifest["apiVersion"], manifest["kind"]
            lines = list(wrong(manifest, schemas[key], key[1])) if key in schemas else [f"no schema of {key}"]
            print(f"{path}: {key[1]} {manifest['metadata']['name']}: {len(lines)} wrong")
            for line in lines:
                print("  " + line)
            found += len(lines)
    sys.exit(found > 0)


main()
