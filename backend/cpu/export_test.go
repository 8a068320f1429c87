package cpu

// WithTilesOfHalves calls f where bfloat16 has the tiles of attention_halves.go, which AMX and BFMMLA have.
func WithTilesOfHalves(f func()) {
	defer func(was func() bool) { inPairs = was }(inPairs)
	inPairs = func() bool { return false }
	f()
}
