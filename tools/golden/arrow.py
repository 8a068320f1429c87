"""Makes data/testdata/arrow and internal/arrowrows/testdata: usage: arrow.py DATA ROWS

DATA gets folders in the form of Hugging Face's datasets: saved (save_to_disk of one split), dict (of several) and
cache (what its cache has of a data set). Their Arrow files are pyarrow's; the JSON beside them is written here, with the
keys that datasets' Dataset.save_to_disk, DatasetDict.save_to_disk and DatasetInfo.write_to_directory give it. ROWS gets
files of columns of every type that a reader meets, as pyarrow writes them, each beside FILE.jsonl, the rows in JSON as
Python has them. Needs pyarrow.
"""

import datetime
import decimal
import json
import os
import shutil
import sys

import pyarrow as pa

DATA, ROWS = sys.argv[1:]

MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string()), ("thinking", pa.string())])
SCHEMA = pa.schema([("id", pa.int64()), ("messages", pa.list_(MESSAGE))])
STRING = {"dtype": "string", "_type": "Value"}
FEATURES = {"id": {"dtype": "int64", "_type": "Value"},
            "messages": {"feature": {"role": STRING, "content": STRING, "thinking": STRING}, "_type": "List"}}


def rows(n, start=0):
    all = []
    for i in range(start, start + n):
        messages = [{"role": "user", "content": f"{i} + {i}?", "thinking": None}]
        messages.append({"role": "assistant", "content": f"{2 * i}, é", "thinking": "hm" if i % 2 else None})
        all.append({"id": i, "messages": messages})
    return all


def write_rows(rows, *path):
    path = os.path.join(DATA, *path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    schema = SCHEMA.with_metadata({"huggingface": json.dumps({"info": {"features": FEATURES}})})
    with pa.ipc.new_stream(path, schema) as w:
        w.write_table(pa.Table.from_pylist(rows, schema=schema))


def write_json(value, *path):
    with open(os.path.join(DATA, *path), "w") as f:
        json.dump(value, f, indent=2, sort_keys=True)


def save_to_disk(shards, split, *folder):
    names = [f"data-{i:05d}-of-{len(shards):05d}.arrow" for i in range(len(shards))]
    for shard, name in zip(shards, names):
        write_rows(shard, *folder, name)
    write_json({"_data_files": [{"filename": n} for n in names], "_fingerprint": "0123456789abcdef",
                "_format_columns": None, "_format_kwargs": {}, "_format_type": None, "_output_all_columns": False,
                "_split": split}, *folder, "state.json")
    write_json({"citation": "", "description": "", "features": FEATURES, "homepage": "", "license": ""}, *folder,
               "dataset_info.json")


def folders():
    shutil.rmtree(DATA, ignore_errors=True)
    save_to_disk([rows(3), rows(2, 3)], None, "saved")
    write_rows(rows(1, 50), "saved", "data-00002-of-00003.arrow")  # left of what was saved here before
    splits = {"train": rows(3), "validation": rows(2, 100), "test": rows(1, 200)}
    for name, split in splits.items():
        save_to_disk([split], name, "dict", name)
    write_json({"splits": list(splits)}, "dict", "dataset_dict.json")
    del splits["test"]
    for name, split in splits.items():
        write_rows(split, "cache", f"json-{name}.arrow")
    write_rows(rows(2, 1), "cache", "cache-0123456789abcdef.arrow")  # what filter kept
    write_json({"builder_name": "json", "dataset_name": "json", "features": FEATURES, "splits": {
        n: {"name": n, "num_bytes": 1000, "num_examples": len(s), "dataset_name": "json"} for n, s in splits.items()}},
               "cache", "dataset_info.json")


def plain(v):
    """What JSON has of a value."""
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, list):
        return [plain(x) for x in v]
    if isinstance(v, tuple):  # of a map
        return list(v)
    if isinstance(v, datetime.datetime):
        text = v.isoformat()
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        return text + "Z"
    if isinstance(v, datetime.date):
        return v.isoformat()
    if isinstance(v, bytes):
        return v.decode()
    return v


def columns():
    n = 11
    texts = [None if i % 4 == 3 else "é" * i + "x" for i in range(n)]
    long = [None if i % 5 == 2 else "letters that are no view's own " * (i % 3) for i in range(n)]
    some = lambda f: [None if i % 3 == 1 else f(i) for i in range(n)]
    pair = pa.struct([("role", pa.string()), ("content", pa.large_string())])
    messages = [None if i == 4 else [{"role": "user", "content": str(j)} for j in range(i % 3)] for i in range(n)]
    day = datetime.date(2026, 11, 29)
    moment = datetime.datetime(1969, 12, 31, 23, 59, 59, 123000)
    table = {
        "text": pa.array(texts), "large": pa.array(texts, pa.large_string()), "view": pa.array(long, pa.string_view()),
        "binary": pa.array([b"b"] * n, pa.binary()), "dictionary": pa.array(texts).dictionary_encode(),
        "small_dictionary": pa.DictionaryArray.from_arrays(pa.array([0, 1, None] * 3 + [2, 0], pa.uint8()),
                                                           pa.array(["a", None, "c"])),
        "flag": pa.array(some(lambda i: i % 2 == 0)), "null": pa.nulls(n),
        "int8": pa.array(some(lambda i: -i), pa.int8()), "uint8": pa.array(some(lambda i: 255 - i), pa.uint8()),
        "int16": pa.array(some(lambda i: -300 * i), pa.int16()),
        "uint16": pa.array(some(lambda i: 65535 - i), pa.uint16()),
        "int32": pa.array(some(lambda i: -70000 * i), pa.int32()),
        "uint32": pa.array(some(lambda i: 2**32 - 1 - i), pa.uint32()),
        "int64": pa.array(some(lambda i: -2**40 * i), pa.int64()),
        "uint64": pa.array(some(lambda i: 2**64 - 1 - i), pa.uint64()),
        "half": pa.array(some(lambda i: i / 4), pa.float16()), "float": pa.array(some(lambda i: i / 8), pa.float32()),
        "double": pa.array(some(lambda i: i / 10), pa.float64()),
        "date": pa.array(some(lambda i: day - datetime.timedelta(i * 5000)), pa.date32()),
        "date64": pa.array(some(lambda i: day - datetime.timedelta(i * 5000)), pa.date64()),
        "second": pa.array(some(lambda i: moment.replace(microsecond=0)), pa.timestamp("s")),
        "milli": pa.array(some(lambda i: moment), pa.timestamp("ms", tz="UTC")).cast(pa.timestamp("ms")),
        "micro": pa.array(some(lambda i: moment + datetime.timedelta(microseconds=i)), pa.timestamp("us")),
        "list": pa.array(messages, pa.list_(pair)), "large_list": pa.array(messages, pa.large_list(pair)),
        "fixed_list": pa.array(some(lambda i: [i, None]), pa.list_(pa.int32(), 2)),
        "nested": pa.array([[[1], [], None, [2, 3]]] * n, pa.list_(pa.list_(pa.int64()))),
        "struct": pa.array(some(lambda i: {"a": {"b": texts[i]}}),
                           pa.struct([("a", pa.struct([("b", pa.string())]))])),
        "map": pa.array([[("k", i), ("l", None)] for i in range(n)], pa.map_(pa.string(), pa.int64())),
        "tags": pa.array([["a", "b"][: i % 3] for i in range(n)], pa.list_(pa.dictionary(pa.int32(), pa.string()))),
    }
    return pa.table(table)


def write(name, table, new, chunk=None, **options):
    path = os.path.join(ROWS, name)
    with new(path, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as w:
        w.write_table(table, max_chunksize=chunk)
    with open(path + ".jsonl", "w") as f:
        for row in table.to_pylist():
            for column in ("map",):
                if column in row:
                    row[column] = dict(row[column])
            f.write(json.dumps(plain(row), ensure_ascii=False) + "\n")


def files():
    os.makedirs(ROWS, exist_ok=True)
    table = columns()
    write("stream.arrow", table, pa.ipc.new_stream)
    write("file.arrow", table.slice(1), pa.ipc.new_file, chunk=4)  # values that begin within a byte, and several batches
    write("legacy.arrow", table.select(["text", "list"]), pa.ipc.new_stream, use_legacy_format=True)
    write("lz4.arrow", table, pa.ipc.new_stream, compression="lz4")
    write("zstd.arrow", table, pa.ipc.new_file, compression="zstd")
    write("packed.arrow", table.select(["view", "dictionary", "list"]), pa.ipc.new_file, compression="lz4")
    words = ["a", "b"], ["a", "b", "c", "c"], ["z"]
    parts = [pa.table({"word": pa.array(w).dictionary_encode()}) for w in words]
    growing = pa.concat_tables(parts)
    write("deltas.arrow", growing, pa.ipc.new_stream, emit_dictionary_deltas=True)
    write("replaced.arrow", growing, pa.ipc.new_stream)
    other = pa.table({"text": ["a", "b"], "price": pa.array([decimal.Decimal("1.50"), None]),
                      "time": pa.array([datetime.time(1), None]), "image": pa.array([b"\xff", None]),
                      "bytes": pa.array([b"abc", None], pa.binary(3)),
                      "runs": pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array([1]))})
    with pa.ipc.new_stream(os.path.join(ROWS, "other.arrow"), other.schema) as w:
        w.write_table(other)


folders()
files()
