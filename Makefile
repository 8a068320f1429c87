# The two commands a newcomer needs are in README.md; these are for contributors.
VK := tools/.vk

.PHONY: test ci shaders bound assembly arm64 avx512 docs plain kill-test llamacpp peft templates bench

test:
	go test ./...

ci:
	.ci/run

# Shader headers to Go structs, shader bodies to SPIR-V, with the one pinned compiler.
shaders: $(VK)/run
	go run ./shaders/gen -dir shaders -glslc "$(abspath $(VK)/run) glslc"

# The same with arguments by descriptors, for tests: go test -tags vulkan_bindings.
bound: $(VK)/run
	go run ./shaders/gen -dir shaders -glslc "$(abspath $(VK)/run) glslc" -bound

$(VK)/run:
	tools/vktools.sh $(VK) glslc spirv-tools

# The CPU's assembly, from its generator (a module of its own).
assembly:
	cd backend/cpu/asmgen && go run .

# The CPU's kernels of arm64 in QEMU: Debian's package qemu-user-static. A processor that has all instructions, then those
# that lack some, for the choice of kernels. Memory and the models of AMX's tiles are the same on every processor.
arm64: export CGO_ENABLED = 0
arm64: export GOARCH = arm64
arm64:
	QEMU_CPU=max go test -short -count=1 -skip 'Footprint|TileModel|Parts' -exec qemu-aarch64-static ./internal/cpulevel ./backend/cpu/...
	for cpu in cortex-a72 cortex-a76; do \
		QEMU_CPU=$$cpu go test -short -count=1 -run 'Choice|Integer' -exec qemu-aarch64-static ./backend/cpu/gemm || exit 1; \
	done

# Attention, whole tiles, packing, products in 16 bits and of rounded rows, in AVX-512, AVX512_VNNI and AVX512_BF16 in Bochs, on a
# small Linux: some minutes, and root. tools/avx512-emulated.sh has more for who changes the generator on a machine without.
avx512:
	tools/avx512-emulated.sh -run 'TestAttention$$|TestPackedF32|TestCachedIsWhole|TestRoundGroups|TestIntegerProductsBits|TestIntegerPanelsSameBits' \
		backend/cpu/gemm ops
	tools/avx512-emulated.sh -run 'TestDenseTiles|TestLinesOfPanels|TestFewRows|TestHalf$$|TestHalfTwinsAgree|TestHalfEdges|TestPageEnd|TestWeigh/avx512' \
		backend/cpu/gemm backend/cpu/internal/vec
	tools/avx512-emulated.sh -level avx512bf16 -run 'TestAttention$$|TestPacked|TestPairTileEdges|TestRaggedBF16' backend/cpu/gemm

# The reference of the settings, from the settings.
docs:
	go run ./tools/configuration > docs/configuration.md

# Runs that are killed at random moments and at each kind of system call, and one of many steps: minutes.
# Needs strace. On lavapipe: make kill-test DEVICE=vulkan EXEC="-exec $PWD/tools/.vk/run".
DEVICE := cpu
kill-test:
	AGORA_LONG=1 AGORA_REQUIRE_STRACE=1 AGORA_TEST_DEVICE=$(DEVICE) go test $(EXEC) -count=1 -v -timeout 60m \
		-run 'EverySystemCall|CutTwoHundredTimes|KilledWhileSaving|MemoryOfManySteps' ./cmd/agora

# Golden cases, resumes and the like on the shaders that every device has: no matrices, no others for few rows, 16 bits rounded by
# integers. Needs AGORA_DATA and AGORA_GOLDEN. Lavapipe 25: make plain VK=tools/.vk25.
plain: $(VK)/run
	AGORA_VULKAN_PLAIN=1 AGORA_TEST_DEVICE=vulkan AGORA_REQUIRE_VULKAN=1 AGORA_VULKAN_VALIDATE=1 go test -count=1 -timeout 60m \
		-exec "$(abspath $(VK)/run)" -run 'Golden|Trained|BlockAgainstFloat64|ResumeIsBitForBit|VerifyResume|Offload' \
		./nn/llama ./multilora ./cmd/agora
	AGORA_VULKAN_PLAIN=1 AGORA_REQUIRE_VULKAN=1 AGORA_VULKAN_VALIDATE=1 go test -count=1 -timeout 60m \
		-exec "$(abspath $(VK)/run)" -run 'OpsAgreeWithCPU|FiftySteps|KernelsAroundTheirTiles|SpecialNumbers|ViewsAtAnyElement' ./backend/vulkan

# Log-probabilities and ids of GGUF files in llama.cpp. CLIENTS is the root of a system that has llama-server and
# Python 3; needs AGORA_DATA, and chroot's rights.
llamacpp:
	rm -rf $(CLIENTS)/tmp/agora
	mkdir -p $(CLIENTS)/tmp/agora/models $(CLIENTS)/tmp/agora/tokens $(CLIENTS)/tmp/agora/mixtures
	cp tools/clients/*.py tools/clients/quantize.sh $(CLIENTS)/tmp/agora/
	AGORA_LLAMACPP=$(CLIENTS)/tmp/agora/models go test -count=1 -run TestFilesForLlamaCpp ./nn/llama
	AGORA_LLAMACPP=$(CLIENTS)/tmp/agora/tokens go test -count=1 -run TestTokensForLlamaCpp ./cmd/agora
	AGORA_LLAMACPP=$(CLIENTS)/tmp/agora/models go test -count=1 -run TestAdaptersForLlamaCpp ./multilora
	AGORA_LLAMACPP=$(CLIENTS)/tmp/agora/mixtures go test -count=1 -run TestMixturesForLlamaQuantize ./nn/llama
	chroot $(CLIENTS) sh /tmp/agora/quantize.sh /tmp/agora/mixtures to
	AGORA_LLAMACPP=$(CLIENTS)/tmp/agora/mixtures go test -count=1 -run TestQuantizedMixturesForLlamaCpp ./nn/llama
	chroot $(CLIENTS) sh /tmp/agora/quantize.sh /tmp/agora/mixtures again
	chroot $(CLIENTS) python3 /tmp/agora/llamacpp.py /tmp/agora/mixtures
	chroot $(CLIENTS) python3 /tmp/agora/llamacpp.py /tmp/agora/models
	chroot $(CLIENTS) python3 /tmp/agora/llamacpp_tokens.py /tmp/agora/tokens

# Logits of adapters in PEFT. CLIENTS is the root of a system that has PyTorch, transformers and Python 3; needs
# chroot's rights. PEFT's own sources, where the system has none, are named as seen there: PEFT=/tmp/peft/src.
PEFT :=
peft:
	rm -rf $(CLIENTS)/tmp/agora-peft
	mkdir -p $(CLIENTS)/tmp/agora-peft/cases
	cp tools/clients/adapters.py $(CLIENTS)/tmp/agora-peft/
	AGORA_PEFT=$(CLIENTS)/tmp/agora-peft/cases go test -count=1 -run TestAdaptersForPEFT ./multilora
	chroot $(CLIENTS) env PYTHONPATH=$(PEFT) HF_HUB_OFFLINE=1 python3 /tmp/agora-peft/adapters.py /tmp/agora-peft/cases

# Chat templates as transformers renders them. CLIENTS is the root of a system that has transformers and Python 3;
# needs chroot's rights. WANT=--want writes internal/jinja/testdata/models.json anew.
WANT :=
templates:
	rm -rf $(CLIENTS)/tmp/agora-templates
	mkdir -p $(CLIENTS)/tmp/agora-templates
	cp tools/clients/jinja.py $(CLIENTS)/tmp/agora-templates/
	AGORA_TRANSFORMERS=$(CLIENTS)/tmp/agora-templates go test -count=1 -run TestCasesForTransformers ./internal/jinja
	chroot $(CLIENTS) python3 /tmp/agora-templates/jinja.py /tmp/agora-templates \
		$(if $(WANT),--want /tmp/agora-templates/models.json)
	$(if $(WANT),cp $(CLIENTS)/tmp/agora-templates/models.json internal/jinja/testdata/)

bench:
	go test -run '^$$' -bench . ./backend/cpu/... ./optest/
