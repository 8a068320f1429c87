package data

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// hash depends on a row's content only: what is held out does not change with the
// order of the rows, the seed or the machine.
func (x Example) hash() uint64 {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(x.Prompt)))
	b = append(append(b, x.Prompt...), x.Answer...)
	sum := sha256.Sum256(b)
	return binary.LittleEndian.Uint64(sum[:])
}

// Split holds out n rows, those with the smallest hashes; both parts keep the order of
// rows. Equal rows stay together, so that none is learnt by heart and then tested: a
// group of them that is too large for the n is passed over.
func Split(rows []Example, n int) (train, held []Example) {
	type group struct {
		hash uint64
		size int
	}
	sizes := map[uint64]int{}
	hashes := make([]uint64, len(rows))
	for i, x := range rows {
		hashes[i] = x.hash()
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
