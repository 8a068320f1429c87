// Package optim trains the parameters of a model.
//
// Gather moves all that trains into flat blocks; an Optimizer then makes each step
// with one kernel a block, whatever the number of parameters. One training step:
//
//	tape := autograd.NewTape(d)
//	tape.Backward(loss(batch))
//	tape.Close()
//	trainable.ClipByNorm(1)
//	optimizer.Step(lr * schedule(step))
//	trainable.ZeroGrad()
//
// Nothing of this waits for the device.
package optim
