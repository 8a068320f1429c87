package train

import (
	"math"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/preference"
	"github.com/agora-ml/agora/tasks"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/tokenizer"
)

// The groups of settings, in the order of the documentation.
const (
	groupModel   = "Model"
	groupData    = "Data"
	groupLoss    = "The objective"
	groupAdapter = "What trains"
	groupSteps   = "Steps"
	groupRun     = "The run"
)

// Settings lists every setting of c, to be read and set there. A row of these tables is all
// that the program knows of a setting beside its field and where that is used: the flag, the
// line of a YAML file, the documentation, the checks and what a resumed run may change come of it.
func (c *Config) Settings() []*Setting {
	var all []*Setting
	add := func(group string, rows []*Setting) {
		for _, s := range rows {
			s.Group, s.config = group, c
		}
		all = append(all, rows...)
	}
	add(groupModel, c.modelSettings())
	add(groupData, c.dataSettings())
	add(groupLoss, c.objectiveSettings())
	add(groupAdapter, c.adapterSettings())
	add(groupSteps, c.stepSettings())
	add(groupRun, c.runSettings())
	return all
}

func (c *Config) modelSettings() []*Setting {
	return []*Setting{
		{Name: "model", value: text(&c.Model, ""), Resume: Movable, Use: ForSequences,
			Meaning: "base model: a folder (config.json, model.safetensors, tokenizer), or a GGUF file"},
		{Name: "from-scratch", value: text(&c.FromScratch, ""), Resume: Movable,
			Meaning: "config.json of a new model that is trained from random weights, in place of model"},
		{Name: "tokenizer", value: text(&c.Tokenizer, ""), Resume: Movable, Use: ForSequences,
			Meaning: "folder or file of the tokenizer (default: the model's)"},
		{Name: "eos-token", value: text(&c.EOSToken, ""), Resume: Fixed, Use: ForSequences,
			Meaning: "token that ends a text and an answer, as the vocabulary spells it (default: what the " +
				"adapter that training begins with names, then the tokenizer's files, else the model's)"},
		{Name: "dtype", value: dtype(&c.DType, &c.AsStored), Choices: words(dtypeChoices()), Resume: Fixed,
			Use: ForSpeed, check: c.checkDType,
			Meaning: "storage of frozen weights and activations; q8, q4, q4_k and nf4 are of frozen weights alone; auto: " +
				"compute-dtype, and of a quantized model the weights as its files have them"},
		{Name: "compute-dtype", value: text(&c.ComputeDType, ""), Choices: words(tensor.ActivationTypes()),
			Resume: Fixed,
			Use:    ForSpeed, check: c.checkComputeDType,
			Meaning: "storage of activations with dtype q8, q4, q4_k or nf4 (default: f32) or auto (default: bf16 on a GPU that " +
				"multiplies matrices of it, f16 on one that does so of that alone, else f32); elsewhere it is dtype's"},
	}
}

func (c *Config) dataSettings() []*Setting {
	return []*Setting{
		{Name: "data", value: &partsValue{at: &c.Data}, Resume: Movable, Use: ForSequences,
			Meaning: "files of rows, folders or patterns of them: JSON, JSONL, .csv, .tsv or text, each may be .gz or " +
				".zst, or Parquet or Arrow; or the tasks of a mixture, each {name: NAME, path: FILE, weight: W, max-epochs: N} or, with task: " +
				alternatives(tasks.Names()) + ", the path of that data set"},
		{Name: "mixture", value: text(&c.Mixture, string(data.WeightBySize)), Choices: words(data.Weightings()),
			Resume: Fixed, Use: ForSequences,
			Meaning: "how often rows of a task are drawn: by size, all alike, size^(1/mixture-temperature), or by " +
				"the weights of data"},
		{Name: "mixture-temperature", value: real(&c.MixtureTemperature, 1), Least: 1, Most: 1e6, Resume: Fixed,
			Use:     ForSequences,
			Meaning: "of mixture temperature: 1 is by size, more is more equal"},
		{Name: "mixture-unit", value: text(&c.MixtureUnit, string(data.Examples)), Choices: words(data.Units()),
			Resume: Fixed, Use: ForSequences,
			Meaning: "what a mixture's shares are shares of"},
		{Name: "format", value: text(&c.Format, string(data.FormatAuto)),
			Choices: explained(data.Formats(), data.Format.Meaning), Resume: Fixed, Use: ForSequences,
			Meaning: "form of the rows"},
		{Name: "ignore-fields", value: texts(&c.IgnoreFields), Resume: Fixed, Use: ForSequences,
			Meaning: "fields of rows and of their messages to pass over; one that no form knows is an error " +
				"otherwise, unless it is an id, a source or empty"},
		{Name: "fields", value: texts(&c.Fields), Resume: Fixed, Use: ForSequences, check: c.checkFields,
			Meaning: "other names that rows have for our fields, each as prompt=question"},
		{Name: "template", value: text(&c.Template, ""), Resume: Fixed, Use: ForSequences,
			Meaning: "chat template for chat rows, by name (default: the model's own)"},
		{Name: templateDate, value: date(&c.TemplateDate), Resume: Fixed, Use: ForSequences,
			Meaning: "date, 2026-11-28, or time, 2026-11-28T09:30:00Z, for templates that ask for it (default: the " +
				"run's start, which the run keeps)"},
		{Name: "loss", value: text(&c.Loss, string(data.LossAnswers)), Choices: words(data.Losses()), Resume: Fixed,
			Use:     ForSequences,
			Meaning: "tokens that count in the loss"},
		{Name: "special-tokens", value: text(&c.SpecialTokens, string(tokenizer.SpecialAsText)),
			Choices: words(tokenizer.SpecialTokensChoices()), Resume: Fixed, Use: ForSequences,
			Meaning: "what special tokens that prompts, answers and texts spell are read as: their letters, or, with " +
				"parse, the tokens (BOS and EOS are then not put where a row spells them itself); in a chat they " +
				"are letters"},
		{Name: "max-tokens", value: whole(&c.MaxTokens, 512), Least: 2, Most: 1 << 30, Unit: "tokens", Resume: Fixed,
			Use:     ForSequences | ForSpeed,
			Meaning: "most tokens of a sequence"},
		{Name: "truncate", value: text(&c.Truncate, ""), Choices: explained(data.Truncations(), data.Truncate.Meaning),
			Resume: Fixed, Use: ForSequences,
			Meaning: "what becomes of longer rows (default: split for text, else end)"},
		{Name: "pack", value: boolean(&c.Pack), Resume: Fixed, Use: ForSequences,
			Meaning: "put several short rows into one sequence of max-tokens, without attention between them"},
		{Name: "held-out", value: whole(&c.HeldOut, 64), Most: 1 << 30, Unit: "rows", Resume: Fixed,
			Meaning: "rows kept out of training to measure the loss on, chosen by a hash of their content; 0: none"},
		{Name: "held-out-split", value: text(&c.HeldOutSplit, ""), Resume: Fixed, Use: ForSequences,
			check: c.checkHeldOutSplit,
			Meaning: "split of the data, as validation, that the held-out rows are of: of a folder with splits, or of " +
				"files and patterns those whose names tell it (default: they are of the rows to train on)"},
		{Name: "skip-bad", value: boolean(&c.SkipBad), Resume: Fixed, Use: ForSequences,
			Meaning: "pass over rows that cannot be read, and count them, instead of ending with the first"},
		{Name: "max-data-bytes", value: whole(&c.MaxDataBytes, 0), Most: 1 << 50, Unit: "bytes", Resume: Free,
			Use: ForSequences,
			Meaning: "most bytes of all files of data, unpacked, with 256 more for each row; 0: a quarter of the " +
				"memory that is left, and then files that unpack to more than 200 times their size are refused, too"},
		{Name: "loaders", value: whole(&c.Loaders, 2), Least: 1, Most: 1 << 10, Resume: Free,
			Meaning: "goroutines that make batches ahead; the batches are the same for any number"},
	}
}

func (c *Config) objectiveSettings() []*Setting {
	return []*Setting{
		{Name: "objective", value: text(&c.Objective, SFT), Choices: explained(Objectives(), Objective.Meaning),
			Resume: Fixed, Use: ForSequences, check: c.checkObjective,
			Meaning: "what is learned from the rows"},
		{Name: "dpo-loss", value: text(&c.DPOLoss, preference.DPOSigmoid), Choices: words(preference.DPOLosses()),
			Resume: Fixed, check: c.onlyFor("dpo-loss", DPO),
			Meaning: "what dpo makes of the margin between two answers"},
		{Name: "beta", value: real(&c.Beta, 0.1), Least: 1e-6, Most: 1e6, Resume: Fixed,
			check:   c.onlyFor("beta", DPO, KTO),
			Meaning: "of dpo and kto: the larger, the less the model leaves the base model"},
		{Name: "label-smoothing", value: real(&c.LabelSmoothing, 0), Most: 0.5, Resume: Fixed, check: c.checkLabelSmoothing,
			Meaning: "of dpo with dpo-loss sigmoid: the chance that a pair is labeled the wrong way round (cDPO)"},
		{Name: "orpo-lambda", value: real(&c.ORPOLambda, 0.1), Least: 1e-6, Most: 1e6, Resume: Fixed,
			check:   c.onlyFor("orpo-lambda", ORPO),
			Meaning: "of orpo: weight of the odds ratio beside the chosen answers (TRL calls it beta)"},
		{Name: "desirable-weight", value: real(&c.DesirableWeight, 1), Most: 1e6, Resume: Fixed,
			check:   c.onlyFor("desirable-weight", KTO),
			Meaning: "of kto: weight of desirable answers in the loss"},
		{Name: "undesirable-weight", value: real(&c.UndesirableWeight, 1), Most: 1e6, Resume: Fixed,
			check:   c.onlyFor("undesirable-weight", KTO),
			Meaning: "of kto: weight of undesirable answers in the loss"},
	}
}

func (c *Config) adapterSettings() []*Setting {
	a, d := &c.Adapter, multilora.Defaults()
	return []*Setting{
		{Name: "from-adapter", value: text(&c.FromAdapter, ""), Resume: Movable, check: c.checkFromAdapter,
			Meaning: "adapter that training goes on with: a folder of Agora or PEFT, or a GGUF file; method, " +
				"modules, rank, alpha, scaling, targets, lora-bias, train-also and train-tokens are its own, and " +
				"dropout unless it is given"},
		{Name: "branches", value: texts(&c.Branches), Resume: Movable, check: c.checkBranches,
			Meaning: "trained adapters that become the modules of one MultiLoRA, to learn how loud each is (with " +
				"train: scales); modules, rank, alpha and targets come of them"},
		{Name: "method", value: text(&a.Method, d.Method), Choices: words(append(multilora.Methods(), MethodFull)),
			Resume: Fixed, Use: ForSpeed,
			Meaning: "kind of adapter; full trains every parameter, without one"},
		{Name: "modules", value: whole(&a.Modules, 0), Most: 1 << 16, Resume: Fixed, Use: ForSpeed,
			Meaning: "parallel modules of MultiLoRA; 0: 3, or 1 for LoRA"},
		{Name: "rank", value: whole(&a.Rank, d.Rank), Least: 1, Most: 1 << 16, Resume: Fixed, Use: ForSpeed,
			Meaning: "rank of each module"},
		{Name: "alpha", value: real(&a.Alpha, 0), Most: 1e6, Resume: Fixed, Use: ForSpeed,
			Meaning: "scale alpha/rank of the modules' sum; 0: the rank"},
		{Name: "scaling", value: text(&a.Scaling, d.Scaling), Choices: words(multilora.Scalings()), Resume: Fixed,
			Use:     ForSpeed,
			Meaning: "learnable scale of a MultiLoRA module"},
		{Name: "start", value: text(&a.Start, ""), Choices: words(multilora.Starts()), Resume: Fixed, Use: ForSpeed,
			Meaning: "how MultiLoRA's modules begin as nothing: s = 0 (default: silent), or B = 0 and s = 1, as " +
				"LoRA with a gain that is learned"},
		{Name: "targets", value: texts(&a.Targets, d.Targets...), Resume: Fixed, Use: ForSpeed,
			Meaning: "layers to adapt: names or patterns, or all-linear, which leaves out experts; the head and the embedding by their " +
				"names (lm_head, embed_tokens)"},
		{Name: "lora-bias", value: boolean(&a.Bias), Resume: Fixed, Use: ForSpeed, check: c.checkLoRABias,
			Meaning: "give B of lora and rslora a bias (PEFT's lora_bias)"},
		{Name: "train-also", value: texts(&a.Extra), Resume: Fixed, Use: ForSpeed, check: c.checkTrainAlso,
			Meaning: "parameters of the base model that train beside the adapter: names or patterns (norm, lm_head, " +
				"…)"},
		{Name: "train-tokens", value: texts(&a.Tokens), Resume: Fixed, Use: ForSpeed, check: c.checkTrainTokens,
			Meaning: "rows of the embedding that train beside the adapter, as token ids (5, 100-120), and, behind " +
				"lm_head:, of the head (PEFT's trainable_token_indices); a head that is the embedding has the " +
				"embedding's"},
		{Name: "dropout", value: real(&a.Dropout, 0), Most: 1, Resume: Fixed, Use: ForSpeed, check: c.checkDropout,
			Meaning: "dropout before A"},
	}
}

func (c *Config) stepSettings() []*Setting {
	return []*Setting{
		{Name: "steps", value: whole(&c.Steps, 300), Least: 1, Most: math.MaxUint32, Resume: Fixed,
			derived: c.hasEpochs,
			check:   c.checkSteps,
			Meaning: "optimizer steps"},
		{Name: "epochs", value: real(&c.Epochs, 0), Most: 1e6, Resume: Fixed,
			Meaning: "passes over the data, in place of steps; 0: steps counts"},
		{Name: "batch-rows", value: whole(&c.BatchRows, 4), Least: 1, Most: 1 << 16, Unit: "rows", Resume: Fixed,
			Use:     ForSpeed,
			Meaning: "sequences of a micro-batch"},
		{Name: "accumulate", value: whole(&c.Accumulate, 1), Least: 1, Most: 1 << 16, Resume: Fixed, Use: ForSpeed,
			Meaning: "micro-batches of a step"},
		{Name: "lr", value: real(&c.LR, 3e-4), Most: math.MaxFloat32, Resume: Noted,
			Meaning: "peak learning rate"},
		{Name: "scale-lr", value: real(&c.ScaleLR, 1), Most: math.MaxFloat32, Resume: Noted, check: c.checkScaleLR,
			Meaning: "factor on the learning rate of MultiLoRA's scales s"},
		{Name: "lora-plus-ratio", value: real(&c.LoRAPlusRatio, 1), Least: 1e-3, Most: 1e6, Resume: Fixed,
			check:   c.checkLoRAPlusRatio,
			Meaning: "factor on the learning rate of the adapter's B: LoRA+ (2402.12354)"},
		{Name: "train", value: text(&c.Train, TrainAll),
			Choices: []Choice{{TrainAll, ""}, {TrainScales, "the scalings of MultiLoRA alone"}}, Resume: Fixed,
			check:   c.checkTrain,
			Meaning: "what of the adapter trains"},
		{Name: "weight-decay", value: real(&c.WeightDecay, 0), Most: 1e6, Resume: Fixed,
			Meaning: "AdamW's weight decay of matrices"},
		{Name: "schedule", value: text(&c.Schedule, optim.Schedules()[0]), Choices: words(optim.Schedules()),
			Resume:  Fixed,
			Meaning: "of the learning rate"},
		{Name: "warmup-steps", value: whole(&c.WarmupSteps, AutoWarmup), Least: AutoWarmup, Most: math.MaxUint32,
			Unit: "steps", Resume: Fixed,
			derived: c.hasEpochs, check: c.checkWarmup,
			Meaning: "steps until the peak learning rate; -1: 10, or half of the steps if that is less"},
		{Name: "clip-norm", value: real(&c.ClipNorm, 1), Most: math.MaxFloat32, Resume: Fixed,
			Meaning: "largest norm of the gradient; 0: no clipping"},
		{Name: "loss-scale", value: real(&c.LossScale, firstLossScale), Most: math.MaxFloat32, Resume: Fixed,
			check: c.checkLossScale,
			Meaning: "factor on the gradients inside a model with activations in f16 (dtype or compute-dtype), at " +
				"the start: a power of two; it halves when they overflow (that step changes nothing) and doubles " +
				"after 2000 steps without"},
		{Name: "seed", value: natural(&c.Seed, 0), Most: math.MaxUint64, Resume: Fixed, Use: ForSequences | ForSpeed,
			Meaning: "of initial values, order of rows and dropout"},
		{Name: "gradient-checkpointing", value: boolean(&c.Checkpointing), Resume: Fixed, Use: ForSpeed,
			Meaning: "recompute each block on the way back: less memory, a third more time"},
		{Name: "shard", value: text(&c.Shard, ShardNothing),
			Choices: []Choice{{ShardNothing, "every process holds the model"}, {ShardWeights, "each holds its part of the " +
				"frozen weights of every block, which are gathered shortly before they are used, as by ZeRO-3 and FSDP"},
				{ShardOptimizer, "with method full each holds its part of AdamW's moments and of the f32 copies of 16-bit " +
					"parameters, as by ZeRO-1, and the number of processes changes no bits"}},
			Resume: Free, check: c.checkShard,
			Meaning: "what the processes of a run that mpirun or srun has started divide among them; of one alone nothing"},
		{Name: "offload", value: text(&c.Offload, OffloadNothing),
			Choices: []Choice{{OffloadNothing, "the device has the whole model"}, {OffloadWeights, "frozen weights stay in the " +
				"model's file, where it has them in the type they are stored in (dtype), so that the model may be larger than the " +
				"memory; a GPU has two blocks at a time"}},
			Resume: Free, check: c.checkOffload,
			Meaning: "what is not in the device's memory until it is used"},
	}
}

func (c *Config) runSettings() []*Setting {
	return []*Setting{
		{Name: "out", value: text(&c.Out, ""), Resume: Free,
			Meaning: "folder of the run: the result, metrics.jsonl, tensorboard/, checkpoints/"},
		{Name: "eval-every", value: whole(&c.EvalEvery, 0), Most: 1 << 30, Unit: "steps", Resume: Fixed,
			Meaning: "steps between measurements of the held-out loss; 0: before and after only"},
		{Name: "early-stop", value: whole(&c.EarlyStop, 0), Most: 1 << 30, Unit: "measurements", Resume: Fixed,
			check:   c.checkEarlyStop,
			Meaning: "end after so many measurements without a lower held-out loss; 0: never"},
		{Name: "result", value: text(&c.FinalWeights, LastWeights),
			Choices: []Choice{{LastWeights, ""}, {BestWeights, "by best-by"}}, Resume: Fixed, check: c.checkResult,
			Meaning: "weights that end in out"},
		{Name: "best-by", value: text(&c.BestBy, BestByHeldOut), Resume: Fixed, check: c.checkBestBy,
			Meaning: "what the best weights are best in: held-out (lowest loss), the score of one of eval-tasks, or " +
				"tasks (the mean of their scores)"},
		{Name: "eval-tasks", value: texts(&c.EvalTasks), Resume: Fixed, check: c.checkEvalTasks,
			Meaning: "tasks that are scored wherever the held-out loss is measured: " + alternatives(tasks.Names())},
		{Name: "task-data", value: text(&c.TaskData, ""), Resume: Movable,
			Meaning: "folder of the data sets of eval-tasks, as for agora eval"},
		{Name: "eval-limit", value: whole(&c.EvalLimit, 100), Most: 1 << 30, Unit: "examples", Resume: Fixed,
			Meaning: "examples of each of eval-tasks at most, of mmlu in each subject; 0: all"},
		{Name: "save-every", value: whole(&c.SaveEvery, 100), Most: 1 << 30, Unit: "steps", Resume: Free,
			Meaning: "steps between checkpoints; 0: only when interrupted"},
		{Name: "keep", value: whole(&c.Keep, 2), Least: 1, Most: 1 << 30, Unit: "checkpoints", Resume: Free,
			Meaning: "checkpoints that are kept, beside the best"},
	}
}
