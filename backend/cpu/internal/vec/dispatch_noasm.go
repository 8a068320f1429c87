//go:build (!amd64 && !arm64) || noasm

package vec

import "github.com/agora-ml/agora/internal/quant"

// Implementation names the routines in use.
func Implementation() string { return "go" }

// Bits names the routines whose bits results have.
func Bits() string { return "go" }

func add(dst, a, b []float32)                             { addGo(dst, a, b) }
func sub(dst, a, b []float32)                             { subGo(dst, a, b) }
func mul(dst, a, b []float32)                             { mulGo(dst, a, b) }
func div(dst, a, b []float32)                             { divGo(dst, a, b) }
func scale(dst, x []float32, alpha float32)               { scaleGo(dst, x, alpha) }
func affine(dst, x []float32, alpha, beta float32)        { affineGo(dst, x, alpha, beta) }
func axpy(dst, x []float32, alpha float32)                { axpyGo(dst, x, alpha) }
func mulAdd(dst, a, b []float32, alpha float32)           { mulAddGo(dst, a, b, alpha) }
func scaleMul(dst, a, b []float32, alpha float32)         { scaleMulGo(dst, a, b, alpha) }
func subMul(dst, a, b []float32, c float32)               { subMulGo(dst, a, b, c) }
func maximum(x []float32) float32                         { return maximumGo(x) }
func sum(x []float32) float64                             { return sumGo(x) }
func sumSquares(x []float32) float64                      { return sumSquaresGo(x) }
func dot(a, b []float32) float64                          { return dotGo(a, b) }
func dot3(a, b, c []float32) float64                      { return dot3Go(a, b, c) }
func exp(dst, x []float32)                                { expGo(dst, x) }
func expSub(dst, x []float32, shift float32) float64      { return expSubGo(dst, x, shift) }
func sumExpSub(x []float32, shift float32) float64        { return sumExpSubGo(x, shift) }
func expSubScale(dst, x []float32, shift, alpha float32)  { expSubScaleGo(dst, x, shift, alpha) }
func sigmoid(y, x []float32)                              { sigmoidGo(y, x) }
func sigmoidGrad(dx, dy, y []float32)                     { sigmoidGradGo(dx, dy, y) }
func tanh(y, x []float32)                                 { tanhGo(y, x) }
func tanhGrad(dx, dy, y []float32)                        { tanhGradGo(dx, dy, y) }
func silu(y, x []float32)                                 { siluGo(y, x) }
func siluGrad(dx, dy, x []float32)                        { siluGradGo(dx, dy, x) }
func geluTanh(y, x []float32)                             { geluTanhGo(y, x) }
func geluTanhGrad(dx, dy, x []float32)                    { geluTanhGradGo(dx, dy, x) }
func swiglu(y, gate, up []float32)                        { swigluGo(y, gate, up) }
func swigluGrad(dgate, dup, dy, gate, up []float32)       { swigluGradGo(dgate, dup, dy, gate, up) }
func rmsNormGrad(dx, dy, x, w []float32, rstd, c float32) { rmsNormGradGo(dx, dy, x, w, rstd, c) }
func rmsNormGradPlus(dx, dy, x, w, plus []float32, rstd, c float32) {
	rmsNormGradPlusGo(dx, dy, x, w, plus, rstd, c)
}
func adamw(p, m, v, g []float32, s *adamwScalars) { adamwGo(p, m, v, g, s) }
func rotate(y1, y2, x1, x2, cos, sin []float32, sign float32, heads int) {
	rotateGo(y1, y2, x1, x2, cos, sin, sign, heads)
}
func dotHeads(weights []float32, apart int, q, k []float32, s HeadShape) {
	dotHeadsGo(weights, apart, q, k, s)
}
func addHeads(weights []float32, apart int, y, v []float32, s HeadShape) {
	addHeadsGo(weights, apart, y, v, s)
}
func fetch(*byte, int, int, int)           {}
func fromBF16(dst []float32, src []uint16) { fromBF16Go(dst, src) }
func toBF16(dst []uint16, src []float32)   { toBF16Go(dst, src) }
func fromF16(dst []float32, src []uint16)  { fromF16Go(dst, src) }
func toF16(dst []uint16, src []float32)    { toF16Go(dst, src) }

func fromBlocks(t quant.Type, dst []float32, src []byte) { t.Decode(dst, src) }

func weighRows(x []float32, apart int, counts []int, highest, sums []float32) {
	weighEach(x, apart, counts, highest, sums)
}

func weighGradRows(p, ds []float32, apart int, counts []int, shift, delta []float32) {
	weighGradEach(p, ds, apart, counts, shift, delta)
}

func weighRowsBF16(x []float32, apart int, counts []int, n int, highest, sums []float32) {
	weighEachBF16(x, apart, counts, n, highest, sums)
}

func weighGradRowsBF16(p, ds []float32, apart int, counts []int, n int, shift, delta []float32, to []uint16, across int) {
	weighGradEachBF16(p, ds, apart, counts, n, shift, delta, to, across)
}

func scaleRows(dst []float32, apart int, x []float32, from, n int, alpha []float32) {
	scaleEach(dst, apart, x, from, n, alpha)
}

func scaleRowsTo(h Half, dst []uint16, apart int, x []float32, from, n int, alpha []float32) {
	scaleEachTo(h, dst, apart, x, from, n, alpha)
}

func dotRowsBF16(sums []float32, x []uint16, apart int, y []uint16, across, n int) {
	dotEachBF16(sums, x, apart, y, across, n)
}

func clearRows(x []float32, apart int, counts []int, n int) { clearEach(x, apart, counts, n) }
