package train

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/mapped"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// Plan is what a run would need, in bytes where nothing else is said.
type Plan struct {
	Model      string  `json:"model"`
	Method     string  `json:"method"`
	Parameters int     `json:"parameters"`        // of the base model
	Active     int     `json:"active_parameters"` // of these, what computes a token: all, but in a mixture of experts
	Trained    int     `json:"trained"`
	Share      float64 `json:"trained_share"` // of Parameters
	About      string  `json:"about"`         // all that in a line

	Rows   int `json:"rows"`            // of a micro-batch; a pair of answers is two
	Tokens int `json:"tokens"`          // of its longest row
	Step   int `json:"tokens_per_step"` // at most

	Memory Memory `json:"memory"`
	// Peak is the most memory that tensors have at once: the sum of Memory's fields.
	Peak int `json:"peak"`
	// Reserve is freed memory that the device keeps for batches of other lengths. It gives
	// it back when memory runs out.
	Reserve int `json:"reserve"`
	// Scratch is what the CPU's kernels keep beside tensors; 0 on a GPU.
	Scratch int `json:"scratch"`
	// Process is the most memory of the whole process, the program and the data included; 0
	// on a GPU, which has the tensors, and whose driver nobody can count.
	Process int `json:"process"`
	// Processes are those that make the run. Gathered is what each receives of the others' parts of the weights in a step,
	// where these are divided (Config.Shard), and Sent what it gives of its own.
	Processes int `json:"processes"`
	Gathered  int `json:"gathered_per_step,omitempty"`
	Sent      int `json:"weights_sent_per_step,omitempty"`
	// Offloaded is what of the weights stays in the file, or on a GPU in the host's memory, until it is used
	// (Config.Offload). Brought is how much of it a step brings to the device, or, on the CPU, reads from the file as far as
	// the memory has not kept it.
	Offloaded int `json:"offloaded,omitempty"`
	Brought   int `json:"brought_per_step,omitempty"`
	// Staging is the memory of the host, beside all that, from which a GPU with memory of its own copies the blocks that are
	// not there, while it computes: as much as the two blocks that are.
	Staging int `json:"staging,omitempty"`

	// Operations are those of products that a process computes in a step, what is recomputed among them.
	Operations float64 `json:"operations_per_step"`

	config  Config
	options PlanOptions
	loaded  int // bytes of the base model alone
	sums    int // bytes on the way of one process for the sum of the gradients, and for what trains

	besideTensors int // of Process: the program and Go's heap, scratch included; 0 on a GPU

	activations tensor.DType
	stored      []tensor.DType // types of the base model's matrices
}

// Memory is a run's tensors by kind at the moment when they need most.
type Memory struct {
	Weights     int `json:"weights"`     // of the base model
	Adapters    int `json:"adapters"`    // A, B and s
	Gradients   int `json:"gradients"`   // of what trains
	Moments     int `json:"moments"`     // of the optimizer, and its f32 copies of 16-bit parameters
	Activations int `json:"activations"` // and their gradients
	Logits      int `json:"logits"`      // one chunk of them
}

// PlanOptions say what is known beside the settings; the zero value is right for most.
type PlanOptions struct {
	// Longest is the number of tokens of the longest sequence; 0: MaxTokens.
	Longest int
	// DataTokens is the number of tokens of all sequences; 0: it is guessed from the size
	// of the files.
	DataTokens int
	// Device is how the CPU will be opened.
	Device device.Options
	// Processes are those that make the run (Options.World), of which the plan is of one; 0: one.
	Processes int
	// GPU means that the run will be on a device whose kernels keep nothing beside tensors.
	GPU bool
}

// NewPlan finds out what a run would need. It makes the run's model without its weights
// and some of the run's steps on a device of sizes alone (device.Meta), with batches as
// large as they can be: what is counted there is what the same code will take. Model may
// be, beside what Run takes, whatever llama.ReadShape takes: a config.json or a name.
func NewPlan(cfg Config, o PlanOptions) (Plan, error) {
	p, r, err := newPlan(cfg, o)
	if err != nil {
		return p, err
	}
	defer r.trainer.Device.Close()
	if caught := tensor.Catch(func() { err = p.vary(r) }); caught != nil {
		err = fmt.Errorf("plan: %w", caught)
	}
	return p, err
}

// maxBatchTokens is more than any machine computes at once; a plan makes batches as large as
// the run's.
const maxBatchTokens = 1 << 21

// newPlan is NewPlan without Reserve and Process. It leaves the run as it is after the
// first step.
func newPlan(cfg Config, o PlanOptions) (p Plan, r *run, err error) {
	cfg.Resolve()
	if err := cfg.validateRun(); err != nil {
		return p, nil, err
	}
	if cfg.WarmupSteps < 0 || cfg.Epochs > 0 { // they follow from the data
		cfg.WarmupSteps, cfg.Epochs = 0, 0
	}
	p.config, p.options = cfg, o
	p.Model, p.Rows, p.Tokens = cfg.Model, cfg.BatchRows, cfg.MaxTokens
	if cfg.Objective.hasPairs() {
		p.Rows *= 2
	}
	if cfg.FromScratch != "" {
		p.Model = cfg.FromScratch
	}
	if o.Longest > 0 && !cfg.Pack {
		p.Tokens = min(p.Tokens, o.Longest)
	}
	if p.Rows > maxBatchTokens/p.Tokens {
		return p, nil, cfg.wrongf("batch-rows", "want at most %d tokens of a micro-batch, got %d rows of %d",
			maxBatchTokens, p.Rows, p.Tokens)
	}
	p.Step = p.Rows * p.Tokens * cfg.Accumulate
	p.Processes = max(o.Processes, 1)
	if err := cfg.checkProcesses(p.Processes); err != nil {
		return p, nil, err
	}
	r = &run{cfg: cfg, planned: p.Processes}
	if p.Processes > 1 && cfg.Shard == ShardWeights {
		r.shards = &shards{size: p.Processes}
	}
	d := device.Meta(o.Device)
	if o.GPU {
		d = device.MetaGPU()
	}
	if caught := tensor.Catch(func() { err = p.firstStep(r, d) }); caught != nil {
		err = fmt.Errorf("plan: %w", caught)
	}
	if err != nil {
		d.Close()
	}
	return p, r, err
}

// firstStep makes the run's model and its first step, and counts memory by kind.
func (p *Plan) firstStep(r *run, d *tensor.Device) error {
	m, err := r.blankModel(d)
	if err != nil {
		return err
	}
	p.loaded, p.activations, p.stored = d.Stats().Live, m.DType(), m.Stored()
	if r.cfg.Offload == OffloadWeights {
		bytes, brought := offloaded(m, p.options.GPU)
		p.Offloaded, p.Brought = bytes, r.cfg.Accumulate/p.Processes*brought
	}
	if p.options.GPU {
		p.Staging = m.BlockRoom()
	}
	base := map[*nn.Param]bool{}
	for _, param := range nn.Params(m) {
		base[param] = true
	}
	if err := r.assemble(m, ""); err != nil {
		return err
	}
	p.Method = string(r.cfg.Adapter.Method)
	p.Parameters, p.Trained, p.About = r.summary.Parameters, r.summary.Trained, r.describe()
	p.Active = p.Parameters - m.Config.IdleParameters()
	p.Share = float64(p.Trained) / float64(p.Parameters)
	p.Memory = r.lasting(base, p.loaded)
	sent, received := r.shards.gathered()
	passes := r.cfg.Accumulate / p.Processes
	p.Sent, p.Gathered = passes*sent, passes*received
	logits, operations := watchLogits(d, m), watchOperations(d)
	if err := p.step(r, p.Tokens); err != nil {
		return err
	}
	p.Operations = operations() * float64(passes) / float64(p.batches())
	p.sums = r.trainer.mostPassed(p.Processes, r.cfg.Accumulate)
	s := d.Stats()
	p.Peak, p.Scratch = s.Peak, s.Scratch
	p.Memory.Logits = logits()
	p.Memory.Activations = p.Peak - p.Memory.sum()
	return d.Err()
}

// lasting is the memory between steps by kind; base are the parameters of the base model, which take the bytes loaded.
// What padding and rounding cost is shared out evenly.
func (r *run) lasting(base map[*nn.Param]bool, loaded int) (k Memory) {
	for _, p := range nn.Params(r.trainer.Model) {
		if base[p] && p.Value.Borrowed() {
			continue
		}
		if base[p] {
			k.Weights += p.Value.Bytes()
		} else {
			k.Adapters += p.Value.Bytes()
		}
		if p.Grad != nil {
			k.Gradients += p.Grad.Bytes()
		}
	}
	for _, sum := range r.trainer.spare {
		k.Gradients += sum.Bytes()
	}
	for _, x := range r.trainer.Optimizer.StateParts() {
		if x.Own != nil {
			k.Moments += x.Own.Bytes()
		}
	}
	if r.shards != nil || r.cfg.Offload == OffloadWeights { // two blocks and a part of all, beside what is in no block
		k.Weights = loaded
	}
	more := float64(r.trainer.Device.Stats().Live) / float64(k.sum())
	for _, bytes := range []*int{&k.Weights, &k.Adapters, &k.Gradients, &k.Moments} {
		*bytes = int(float64(*bytes) * more)
	}
	return k
}

func (k Memory) sum() int {
	return k.Weights + k.Adapters + k.Gradients + k.Moments + k.Activations + k.Logits
}

// vary goes on with batches of other lengths and an evaluation: what the device pools
// depends on how they vary.
func (p *Plan) vary(r *run) error {
	d := r.trainer.Device
	if !p.config.Pack {
		for _, tokens := range p.unmerged(r.trainer.Model) {
			if err := p.step(r, tokens); err != nil {
				return err
			}
		}
		for _, eighths := range []int{6, 4, 7, 3, 5, 8} {
			if err := p.step(r, max(1, p.Tokens*eighths/8)); err != nil {
				return err
			}
		}
	}
	if err := p.evaluate(r); err != nil {
		return err
	}
	s := d.Stats()
	p.Memory.Activations += s.Peak - p.Peak
	p.Peak, p.Reserve, p.Scratch = s.Peak, s.Taken-s.Peak, s.Scratch
	if p.options.GPU {
		return d.Err()
	}
	heap := p.dataBytes(r.trainer.Model.Config.Vocab)
	p.besideTensors = s.Scratch + 2*heap + programBytes
	if p.config.full() { // a model is saved a tensor at a time
		p.besideTensors += r.trainer.Model.HeadWeight().Value.Bytes()
	}
	file, head := modelBytes(p.config.Model), r.trainer.Model.HeadWeight().Value
	switch { // no more than a tensor of it is in memory
	case !mapped.Paged:
	case file > p.loaded+p.loaded/16: // it has wider types
		file = min(file, 4*head.Numel())
	default:
		file = min(file, head.Bytes())
	}
	p.Process = max(s.Taken+p.besideTensors, p.loaded+file+programBytes)
	return d.Err()
}

// unmerged are the tokens of the longest rows with which some layers' modules are not merged into the weight, so that their
// narrow products are kept: shorter batches than the largest may need more memory.
func (p *Plan) unmerged(m *llama.Model) (tokens []int) {
	if m.Device().Launches() || p.config.Adapter.Dropout > 0 || p.activations.Is16Bit() {
		return nil
	}
	for _, layer := range nn.Layers(m) {
		if l, ok := (*layer).(*multilora.Linear); ok {
			n := (ops.MergesFrom(l.Base.Weight.Value.Dim(1)) - 1) / p.Rows
			if 0 < n && n < p.Tokens && !slices.Contains(tokens, n) {
				tokens = append(tokens, n)
			}
		}
	}
	return tokens
}

// evaluate is a measurement of held-out rows.
func (p *Plan) evaluate(r *run) (err error) {
	batches := []data.Batch{p.batch(p.Tokens)}
	if judge := r.trainer.Preference; judge != nil {
		_, _, err = judge.evaluate(context.Background(), r.trainer.Model, r.options.processes(), batches)
		return err
	}
	_, err = Evaluate(context.Background(), r.trainer.Model, batches)
	return err
}

// programBytes is the program, Go's runtime and heap, and the tokenizer: 55 to 67 MiB were seen.
// The data in that heap counts twice, because Go collects it each time it has doubled; kernels
// map their scratch memory outside it.
const programBytes = 68 << 20

// dataBytes is the data as ids and labels of 4 bytes, and what their slices have to spare.
func (p *Plan) dataBytes(vocab int) int {
	tokens := p.options.DataTokens
	if tokens == 0 {
		for _, path := range p.config.paths() {
			files, heldOut, err := data.SplitFiles(path, p.config.HeldOutSplit)
			if err != nil {
				continue // a plan can be made without the data
			}
			for _, file := range slices.Concat(files, heldOut) {
				tokens += guessTokens(file, vocab)
			}
		}
	}
	return 10 * tokens
}

// guessTokens is about how many tokens a file has. A word of a vocabulary stands for the
// longer a text the more words there are: measured were 1.8 bytes with 512 and 3.8 with
// 32,000 of them. Alpaca's prompt around a row is three quarters as long as the row.
func guessTokens(path string, vocab int) int {
	info, err := os.Stat(path)
	if err != nil {
		return 0 // a plan can be made without the data
	}
	bytes := float64(info.Size())
	plain, packed := strings.CutSuffix(path, ".gz")
	if !packed {
		plain, packed = strings.CutSuffix(path, ".zst")
	}
	if packed || filepath.Ext(plain) == ".parquet" {
		bytes *= 3
	}
	if ext := filepath.Ext(plain); ext == ".json" || ext == ".jsonl" || ext == ".arrow" {
		bytes *= 1.75
	}
	return int(bytes / max(1, 0.26*math.Log2(float64(vocab))))
}

// batches is how many micro-batches a step of the plan has. Of those from the second on, each needs what that one does.
func (p *Plan) batches() int {
	return min(p.config.Accumulate/p.Processes, 2) // a process has no room for another's sum
}

// step makes an optimizer step with rows of so many tokens.
func (p *Plan) step(r *run, tokens int) error {
	batches := slices.Repeat([]data.Batch{p.batch(tokens)}, p.batches())
	_, err := r.trainer.Step(batches)
	return err
}

// batch is a batch of rows that are all so long, and of which all tokens count but one:
// with none the model would not have to pick those that do.
func (p *Plan) batch(tokens int) data.Batch {
	rows := make([]data.Sequence, p.Rows)
	judged := p.config.Objective != SFT
	for i := range rows {
		rows[i] = data.Sequence{IDs: make([]int32, tokens), Labels: make([]int32, tokens)}
		if judged {
			rows[i].Judgment = data.Chosen
		}
		if judged && p.config.Objective.hasPairs() && i%2 == 1 {
			rows[i].Judgment = data.Rejected
		}
	}
	if p.Rows*tokens > 1 && tokens > 1 {
		rows[0].Labels[0] = data.Ignored
	}
	return data.Collate(rows)
}

// watchLogits gives the size of the logits that were there when the device's memory was
// fullest. They are whatever has the vocabulary in its rows.
func watchLogits(d *tensor.Device, m *llama.Model) func() int {
	var logits *tensor.Tensor
	bytes := map[any]int{} // the last piece of them may be smaller than their memory
	peak, atPeak := 0, 0
	d.Trace(func(_ tensor.Kernel, args []*tensor.Tensor) {
		for _, t := range args {
			if t != nil && t.Rank() == 2 && t.Dim(1) == m.Config.Vocab {
				logits = t
				bytes[t.Memory()] = max(bytes[t.Memory()], t.Bytes())
			}
		}
		if live := d.Stats().Live; live > peak {
			peak, atPeak = live, 0
			if logits != nil && logits.Alive() {
				atPeak = bytes[logits.Memory()]
			}
		}
	})
	return func() int { return atPeak }
}

// blankModel is the run's model as loadModel gives it, without values.
func (r *run) blankModel(d *tensor.Device) (*llama.Model, error) {
	if r.cfg.FromScratch != "" {
		return r.newModel(d)
	}
	c, err := llama.ReadShape(r.cfg.Model)
	if err != nil {
		return nil, r.cfg.wrong("model", err)
	}
	storage, err := r.cfg.Storage()
	if err != nil {
		return nil, err
	}
	if r.shards != nil {
		storage.Blocks = r.shards
	}
	// Its blocks may be smaller than those asked for.
	if gguf.IsFile(r.cfg.Model) || storage.Offload && isFolder(r.cfg.Model) || c.Packing() != "" && isFolder(r.cfg.Model) {
		return llama.BlankFrom(context.Background(), d, r.cfg.Model, storage)
	}
	return llama.Blank(d, c, storage)
}

// modelBytes is the size of a model's files.
func modelBytes(path string) (bytes int) {
	_ = filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // a name, or a folder that Load will complain about
		}
		if ext := filepath.Ext(e.Name()); ext == ".safetensors" || ext == ".gguf" {
			if info, err := e.Info(); err == nil {
				bytes += int(info.Size())
			}
		}
		return nil
	})
	return bytes
}
