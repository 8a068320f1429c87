# What the documents take for granted: agora itself, models in models/llama and
# models/other, rows in alpaca_data.json, mine.jsonl and more.jsonl.gz, and of BoolQ.

go install ./cmd/agora

seq 120 | while read -r i; do
	echo "{\"instruction\": \"Say the number $i twice.\", \"input\": \"\", \"output\": \"$i and $i\"}"
done >mine.jsonl
gzip -c mine.jsonl >more.jsonl.gz
{ echo "["; sed '$!s/$/,/' mine.jsonl; echo "]"; } >alpaca_data.json

for model in "llama 32" "other 64"; do # name and width
	read -r name width <<<"$model"
	cat >config.json <<-JSON
		{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 282,
		 "hidden_size": $width, "intermediate_size": 88, "num_hidden_layers": 2,
		 "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
		 "rms_norm_eps": 1e-05, "rope_theta": 10000, "bos_token_id": 280, "eos_token_id": 281}
	JSON
	agora train --from-scratch config.json --tokenizer tokenizer/testdata/bytes.json \
		--data mine.jsonl --steps 2 --held-out 0 --out trained
	mkdir -p "models/$name"
	mv trained/config.json trained/model.safetensors "models/$name"
	cp tokenizer/testdata/bytes.json "models/$name/tokenizer.json"
	rm -r config.json trained
done

mkdir boolq
printf '{"question": "is %s even", "passage": "%s", "label": %s}\n' 2 two true 3 three false >boolq/val.jsonl
