package data

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
)

// hash depends on a row's content only: what is held out does not change with the
// order of the rows, the seed or the machine.
func (r Row) hash() uint64 {
	var b []byte
	add := func(s string) { b = append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...) }
	switch r.Format {
	case FormatChat:
		b = binary.LittleEndian.AppendUint64(b, math.MaxUint64) // no length of a prompt
		for _, m := range r.Messages {
			add(m.Role)
			add(m.Content)
		}
	case FormatText:
		b = append(b, r.Text...)
	default:
		add(r.Prompt)
		b = append(b, r.Answer...)
	}
	return hashOf(b)
}

func (s Sequence) hash() uint64 {
	var b []byte
	for _, id := range s.IDs {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	return hashOf(b)
}

func hashOf(b []byte) uint64 {
	sum := sha256.Sum256(b)
	return binary.LittleEndian.Uint64(sum[:])
}

// Split holds out n rows, those with the smallest hashes; both parts keep the order of
// rows. Equal rows stay together, so that none is learnt by heart and then tested: a
// group of them that is too large for the n is passed over.
func Split(rows []Row, n int) (train, held []Row) { return split(rows, n, Row.hash) }

// HoldOut is Split for the sequences that the rows have become, and what a row too short
// or too long has not become is not counted: n is a number of sequences. All sequences of
// a row stay together, whatever the tokenizer, but for those of a text, of which there
// may be one alone: there each stands for itself.
func HoldOut(rows []Row, seqs []Sequence, n int) (train, held []Sequence) {
	hashes := map[Source]uint64{}
	for _, r := range rows {
		if r.Format != FormatText {
			hashes[r.Source] = r.hash()
		}
	}
	return split(seqs, n, func(s Sequence) uint64 {
		if h, ok := hashes[s.Source]; ok {
			return h
		}
		return s.hash()
	})
}

func split[T any](rows []T, n int, hash func(T) uint64) (train, held []T) {
	type group struct {
		hash uint64
		size int
	}
	sizes := map[uint64]int{}
	hashes := make([]uint64, len(rows))
	for i, x := range rows {
		hashes[i] = hash(x)
		sizes[hashes[i]]++
	}
	groups := make([]group, 0, len(sizes))
	for h, size := range sizes {
		groups = append(groups, group{h, size})
	}
	slices.SortFunc(groups, func(a, b group) int { return cmp.Compare(a.hash, b.hash) })
	chosen := map[uint64]bool{}
	for _, g := range groups {
		if g.size <= n {
			n -= g.size
			chosen[g.hash] = true
		}
	}
	for i, x := range rows {
		if chosen[hashes[i]] {
			held = append(held, x)
		} else {
			train = append(train, x)
		}
	}
	return train, held
}
