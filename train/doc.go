// Package train fine-tunes a model: the training step (Trainer), the whole run with
// held-out evaluation and metrics (Run), and its settings (Config).
package train
