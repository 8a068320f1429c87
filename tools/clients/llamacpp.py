"""Compares log-probabilities of GGUF files in llama.cpp's llama-server with Agora's.

usage: llamacpp.py FOLDER

FOLDER holds NAME.gguf and NAME.json files, {"ids": […], "logprobs": [[…] for each position]}, as
`go test ./nn/llama -run TestFilesForLlamaCpp` writes them where AGORA_LLAMACPP names a folder, and
./multilora -run TestAdaptersForLlamaCpp, with an adapter NAME.lora beside.
Prints the largest difference of each file; exits with 1 if one is more than its limit.
"""

import glob
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request

LIMIT = 2e-5
# llama.cpp's CPU code takes GELU from a table of halves: with that imitated, Gemmas are within 3e-4.
LIMITS = {"gemma2": 0.05, "gemma3_text": 0.05}


def ask(port, path, body=None):
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def serve(file):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    adapter = file[:-5] + ".lora"
    adapter = ["--lora", adapter] if os.path.exists(adapter) else []
    server = subprocess.Popen(
        ["llama-server", "-m", file, "--port", str(port), "-ctk", "f32", "-ctv", "f32", "-fa", "off", "-t", "1",
         "-c", "64", "--no-warmup", "-ngl", "0", "-np", "1", "--swa-full", *adapter],
        stdout=subprocess.DEVNULL, stderr=open(file + ".log", "w"))
    for _ in range(200):
        if server.poll() is not None:
            sys.exit(f"{file}: llama-server ended: see {file}.log")
        try:
            ask(port, "/health")
            return server, port
        except OSError:
            time.sleep(0.1)
    server.kill()
    sys.exit(f"{file}: llama-server does not answer: see {file}.log")


def compare(file):
    with open(file[:-5] + ".json") as f:
        want = json.load(f)
    server, port = serve(file)
    worst = 0.0
    try:
        for n in range(1, len(want["ids"]) + 1):
            words = len(want["logprobs"][n - 1])
            got = ask(port, "/completion", {
                "prompt": want["ids"][:n], "n_predict": 1, "n_probs": words, "temperature": 0, "cache_prompt": False,
                "samplers": [],
            })["completion_probabilities"][0]["top_logprobs"]
            for token in got:
                if token["logprob"] > -50:
                    worst = max(worst, abs(token["logprob"] - want["logprobs"][n - 1][token["id"]]))
            assert len(got) == words, f"{len(got)} of {words} words"
    finally:
        server.kill()
        server.wait()
    return worst


if __name__ == "__main__":
    files = sorted(glob.glob(os.path.join(sys.argv[1], "*.gguf")))
    off = []
    for file in files:
        worst = compare(file)
        print(f"{os.path.basename(file):30} {worst:.2g}", flush=True)
        off += [file] if worst > LIMITS.get(re.split("[-.]", os.path.basename(file))[0], LIMIT) else []
    if off or not files:
        sys.exit(f"off: {off}" if off else "no files")
