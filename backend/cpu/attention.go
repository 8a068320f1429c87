package cpu

import (
	"math"

	"github.com/agora-ml/agora/internal/kernels"
)

func init() {
	plain(attention[float32], attention[float64])
	plain(attentionGrad[float32], attentionGrad[float64])
	plain(attentionGradQ[float32], attentionGradQ[float64])
	plain(attentionGradKV[float32], attentionGradKV[float64])
}

// attention: y = Σ_j p_j v_j with p = softmax(score) over the keys j that the query
// sees; lse = log Σ_j exp(score_j).
func attention[F float](w *work, k kernels.Attention, a args[F]) {
	y, lse := a.f[0], a.f[1]
	in := attentionInputs[F]{k, a.f[2], a.f[3], a.f[4], seeing(k, a.i[5:9])}
	w.team.Rows(k.Batch*k.Heads*k.T, 1, func(lo, hi int) {
		scores := make([]F, k.S)
		for row := lo; row < hi; row++ {
			b, h, i := row/k.T/k.Heads, row/k.T%k.Heads, row%k.T
			out := in.query(y, b, i, h)
			clear(out)
			highest, sum := F(math.Inf(-1)), F(0)
			for j := range in.seen(b, i) {
				scores[j] = in.score(b, i, j, h)
				highest = max(highest, scores[j])
			}
			for j := range in.seen(b, i) {
				p := exp(scores[j] - highest)
				sum += p
				axpy(out, p, in.key(in.v, b, j, h))
			}
			for d := range out {
				if sum > 0 || sum != sum {
					out[d] /= sum
				}
			}
			if lse != nil {
				lse[row] = highest + F(math.Log(float64(sum)))
			}
		}
	})
}

// attentionGradQ: delta = dy·y, dq = scale Σ_j p_j (dy·v_j - delta) slope_j k_j with
// p_j = exp(score_j - lse) and the slope of the soft cap, 1 without one.
func attentionGradQ[F float](w *work, k kernels.AttentionGradQ, a args[F]) {
	dq, delta, dy, y, lse := a.f[0], a.f[1], a.f[2], a.f[3], a.f[4]
	in := attentionInputs[F]{kernels.Attention(k), a.f[5], a.f[6], a.f[7], seeing(kernels.Attention(k), a.i[8:12])}
	w.team.Rows(k.Batch*k.Heads*k.T, 1, func(lo, hi int) {
		for row := lo; row < hi; row++ {
			b, h, i := row/k.T/k.Heads, row/k.T%k.Heads, row%k.T
			grad, out := in.query(dy, b, i, h), in.query(dq, b, i, h)
			clear(out)
			delta[row] = dot(grad, in.query(y, b, i, h))
			for j := range in.seen(b, i) {
				score := in.score(b, i, j, h)
				ds := exp(score-lse[row]) * (dot(grad, in.key(in.v, b, j, h)) - delta[row]) * in.slope(score)
				axpy(out, F(k.Scale)*ds, in.key(in.k, b, j, h))
			}
		}
	})
}

// attentionGradKV: dv_j = Σ p_ij dy_i, dk_j = scale Σ p_ij (dy_i·v_j - delta_i) slope_ij q_i over
// the queries i that see key j, and the query heads that share its head.
func attentionGradKV[F float](w *work, k kernels.AttentionGradKV, a args[F]) {
	dk, dv, dy, lse, delta := a.f[0], a.f[1], a.f[2], a.f[3], a.f[4]
	in := attentionInputs[F]{kernels.Attention(k), a.f[5], a.f[6], a.f[7], seeing(kernels.Attention(k), a.i[8:12])}
	group := k.Heads / k.KVHeads
	w.team.Rows(k.Batch*k.KVHeads*k.S, 1, func(lo, hi int) {
		for row := lo; row < hi; row++ {
			b, kvHead, j := row/k.S/k.KVHeads, row/k.S%k.KVHeads, row%k.S
			first := kvHead * group
			outK, outV := in.key(dk, b, j, first), in.key(dv, b, j, first)
			clear(outK)
			clear(outV)
			for h := first; h < first+group; h++ {
				for i := range k.T {
					if !in.sees(b, i, j) {
						continue
					}
					at := (b*k.Heads+h)*k.T + i
					q, grad := in.query(in.q, b, i, h), in.query(dy, b, i, h)
					score := in.score(b, i, j, h)
					p := exp(score - lse[at])
					ds := p * (dot(grad, in.key(in.v, b, j, h)) - delta[at]) * in.slope(score)
					axpy(outV, p, grad)
					axpy(outK, F(k.Scale)*ds, q)
				}
			}
		}
	})
}

// attentionGrad is the other two, in this order.
func attentionGrad[F float](w *work, k kernels.AttentionGrad, a args[F]) {
	dq, dk, dv, dy, y, lse := a.f[0], a.f[1], a.f[2], a.f[3], a.f[4], a.f[5]
	delta := make([]F, len(lse))
	inputs := args[F]{a.f[6:], a.i[6:]}
	with := func(first ...[]F) args[F] {
		return args[F]{append(first, inputs.f...), append(make([][]int32, len(first)), inputs.i...)}
	}
	attentionGradQ(w, kernels.AttentionGradQ(k), with(dq, delta, dy, y, lse))
	attentionGradKV(w, kernels.AttentionGradKV(k), with(dk, dv, dy, lse, delta))
}

type attentionInputs[F float] struct {
	shape   kernels.Attention
	q, k, v []F
	visibility
}

// score is scale q·k of query i and key j of query head h, under the soft cap if there is one.
func (in *attentionInputs[F]) score(b, i, j, h int) F {
	s := F(in.shape.Scale) * dot(in.query(in.q, b, i, h), in.key(in.k, b, j, h))
	if bound := float64(in.shape.SoftCap); bound != 0 {
		s = F(bound * math.Tanh(float64(s)/bound))
	}
	return s
}

// slope is the derivative of the soft cap where it gives a score.
func (in *attentionInputs[F]) slope(score F) F {
	if in.shape.SoftCap == 0 {
		return 1
	}
	t := score / F(in.shape.SoftCap)
	return 1 - t*t
}

// query is the row of x [batch, t, heads, dim] for query i of head h.
func (in *attentionInputs[F]) query(x []F, b, i, h int) []F {
	s := in.shape
	at := ((b*s.T+i)*s.Heads + h) * s.HeadDim
	return x[at : at+s.HeadDim]
}

// key is the row of x [batch, s, kvHeads, dim] for key j as query head h uses it.
func (in *attentionInputs[F]) key(x []F, b, j, h int) []F {
	s := in.shape
	at := ((b*s.S+j)*s.KVHeads + h/(s.Heads/s.KVHeads)) * s.HeadDim
	return x[at : at+s.HeadDim]
}

func dot[F float](a, b []F) F {
	s := F(0)
	for i := range a {
		s += a[i] * b[i]
	}
	return s
}

// axpy: y += alpha x.
func axpy[F float](y []F, alpha F, x []F) {
	for i := range y {
		y[i] += alpha * x[i]
	}
}

func exp[F float](x F) F { return F(math.Exp(float64(x))) }
