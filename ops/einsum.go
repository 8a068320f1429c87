package ops

import (
	"slices"
	"strings"

	"github.com/agora-ml/agora/tensor"
)

// Einsum multiplies and sums by Einstein's convention: "bij,bjk->bik" is a batch of matrix
// products. A letter names a dimension; letters that the result lacks are summed over. Every operand
// and the result have each of their letters once. Operands are taken two at a time, from the left,
// each pair as one MatMul of what Permute and Reshape have made of it.
func Einsum(spec string, xs ...*Var) *Var {
	inputs, result, ok := strings.Cut(strings.ReplaceAll(spec, " ", ""), "->")
	operands := strings.Split(inputs, ",")
	if !ok || len(operands) != len(xs) {
		tensor.Panicf("einsum", "%q for %d operands: want as many lists of letters, then -> and the result's", spec,
			len(xs))
	}
	sizes := map[rune]int{}
	terms := make([]term, len(xs))
	for i, x := range xs {
		terms[i] = term{x, []rune(operands[i])}
		if len(terms[i].labels) != x.Tensor().Rank() || !distinctLetters(terms[i].labels) {
			tensor.Panicf("einsum", "%q: %s is %s: want a letter for each dimension, all of them different", spec,
				operands[i], x.Tensor())
		}
		for d, l := range terms[i].labels {
			if n, ok := sizes[l]; ok && n != x.Dim(d) {
				tensor.Panicf("einsum", "%q: %c is %d and %d", spec, l, n, x.Dim(d))
			}
			sizes[l] = x.Dim(d)
		}
	}
	want := []rune(result)
	for _, l := range want {
		if _, ok := sizes[l]; !ok || !distinctLetters(want) {
			tensor.Panicf("einsum", "%q: the result's letters must be the operands', each once", spec)
		}
	}
	t := terms[0]
	for i, next := range terms[1:] {
		later := slices.Clone(want) // what must be left
		for _, rest := range terms[i+2:] {
			later = append(later, rest.labels...)
		}
		t = t.keep(next.labels, later).times(next.keep(t.labels, later), later, sizes)
	}
	return t.keep(want).permuted(want).x
}

// term is an operand with the letters of its dimensions.
type term struct {
	x      *Var
	labels []rune
}

func distinctLetters(labels []rune) bool {
	for i, l := range labels {
		if l < 'A' || l > 'z' || slices.Contains(labels[:i], l) {
			return false
		}
	}
	return true
}

// keep sums over the dimensions that are in none of the lists.
func (t term) keep(lists ...[]rune) term {
	kept := slices.Concat(lists...)
	for d := len(t.labels) - 1; d >= 0; d-- {
		if !slices.Contains(kept, t.labels[d]) {
			t = term{Sum(t.x, d), slices.Delete(slices.Clone(t.labels), d, d+1)}
		}
	}
	return t
}

// permuted puts the dimensions in the order of labels.
func (t term) permuted(labels []rune) term {
	if slices.Equal(t.labels, labels) {
		return t
	}
	axes := make([]int, len(labels))
	for i, l := range labels {
		axes[i] = slices.Index(t.labels, l)
	}
	return term{Permute(t.x, axes...), labels}
}

// times is the product of two terms, summed over the letters that both have and nobody needs later.
func (t term) times(u term, later []rune, sizes map[rune]int) term {
	var batch, left, summed, right []rune
	for _, l := range t.labels {
		switch {
		case !slices.Contains(u.labels, l):
			left = append(left, l)
		case slices.Contains(later, l):
			batch = append(batch, l)
		default:
			summed = append(summed, l)
		}
	}
	for _, l := range u.labels {
		if !slices.Contains(t.labels, l) {
			right = append(right, l)
		}
	}
	size := func(labels []rune) int {
		n := 1
		for _, l := range labels {
			n *= sizes[l]
		}
		return n
	}
	a := Reshape(t.permuted(slices.Concat(batch, left, summed)).x, size(batch), size(left), size(summed))
	b := Reshape(u.permuted(slices.Concat(batch, summed, right)).x, size(batch), size(summed), size(right))
	labels := slices.Concat(batch, left, right)
	shape := make([]int, len(labels))
	for i, l := range labels {
		shape[i] = sizes[l]
	}
	return term{Reshape(MatMul(a, b, false, false), shape...), labels}
}
