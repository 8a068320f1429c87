// Package compare is the paper's experiment (MultiLoRA, 2311.11501) as a controlled one: methods
// that fine-tune one model for several tasks at once, each at the learning rate that suits it,
// over enough seeds to tell a difference from chance.
//
// An Experiment is a YAML file. Run makes what of it is missing in a folder, and a Results of
// everything there, which Report writes as a page:
//
//	e, err := compare.Read("experiment.yaml")
//	results, err := compare.Run(ctx, e, "out", compare.Options{Open: open})
//	err = results.Save("out") // results.json and report.html
//
// The protocol: every method is tried at as many learning rates as any other, on validation rows
// and on seeds that are not scored; a rate is chosen by the mean of all of these seeds; where the
// best one is the last of its grid, all methods get another try. New seeds are then scored on test
// rows. A seed decides the base model, the order of the rows and the adapter's start, for all methods
// alike, so that differences are taken seed by seed. docs/experiment.md says why.
package compare
