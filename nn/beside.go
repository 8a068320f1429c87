package nn

// Beside is a change of a weight [out, in] that is kept beside it as a product of two narrow matrices, so that the
// weight stays as it is: what an adapter adds to an embedding or a head.
type Beside interface {
	// Factors returns up [out, rank], of any storage type, and down [rank, in], f32: the change is up down.
	Factors() (up, down *Var)
	// Drop returns the input of a linear layer as the change sees it: with dropout, while a tape is open.
	Drop(x *Var) *Var
}
