"""Compares the ids of llama.cpp's llama-server with Agora's.

usage: llamacpp_tokens.py FOLDER

FOLDER holds NAME.gguf and NAME.tokens.json files, [{"text": …, "ids": […]}, …], as
`go test ./cmd/agora -run TestTokensForLlamaCpp` writes them where AGORA_LLAMACPP names a folder.
Prints how many texts of each file differ; exits with 1 if any does.
"""

import glob
import json
import sys

from llamacpp import ask, serve

if __name__ == "__main__":
    files = sorted(glob.glob(sys.argv[1] + "/*.tokens.json"))
    off = 0
    for file in files:
        with open(file) as f:
            rows = json.load(f)
        model = file.removesuffix(".tokens.json") + ".gguf"
        server, port = serve(model)
        try:
            different = [row for row in rows if ask(port, "/tokenize", {
                "content": row["text"], "add_special": False, "parse_special": False})["tokens"] != row["ids"]]
        finally:
            server.kill()
            server.wait()
        print(f"{model}: {len(different)} of {len(rows)} texts differ", [row["text"] for row in different[:3]], flush=True)
        off += len(different)
    sys.exit(1 if off or not files else 0)
