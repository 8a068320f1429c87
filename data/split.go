package data

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// Groups puts sequences that must not be parted into groups: those that the model sees as
// the same, ids and labels both, and those of one row, with all that these are equal to.
// of is the number of each sequence's group, from 0 in the order of their first ones.
//
// The pieces of a file that is one document are not held together: it would be one group,
// with nothing to hold out. Each stands for itself there.
func Groups(seqs []Sequence) (of []int, n int) {
	of, keys := groups(seqs)
	return of, len(keys)
}

// key is a digest of what the model sees of a sequence, or of the sequences of a group.
type key [sha256.Size]byte

func (s Sequence) key() key {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+8*len(s.IDs)), uint64(len(s.IDs)))
	for _, ids := range [][]int32{s.IDs, s.Labels} {
		for _, id := range ids {
			b = binary.LittleEndian.AppendUint32(b, uint32(id))
		}
	}
	if s.Judgment != Unjudged {
		b = append(b, byte(s.Judgment))
	}
	if s.Rejected != nil {
		rejected := s.Rejected.key()
		b = append(b, rejected[:]...)
	}
	return sha256.Sum256(b)
}

// groups is Groups with a key of each group, which depends on what is in it alone: not on
// the order of the sequences, nor on how often one is there.
func groups(seqs []Sequence) (of []int, keys []key) {
	parent := make([]int, len(seqs)) // of a tree for each group; a root is its own
	root := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	same, rows := map[key]int{}, map[Source]int{}
	all := make([]key, len(seqs))
	for i, s := range seqs {
		parent[i] = i
		all[i] = s.key()
		if first, ok := same[all[i]]; ok {
			parent[i] = root(first)
		} else {
			same[all[i]] = i
		}
		if s.Source.Row == 0 {
			continue
		}
		if first, ok := rows[s.Source]; ok {
			parent[root(i)] = root(first)
		} else {
			rows[s.Source] = i
		}
	}
	of = make([]int, len(seqs))
	numbers := map[int]int{} // of groups by their roots
	var members [][]key
	for i := range seqs {
		r := root(i)
		number, ok := numbers[r]
		if !ok {
			number = len(numbers)
			numbers[r] = number
			members = append(members, nil)
		}
		of[i] = number
		if same[all[i]] == i { // each but once
			members[number] = append(members[number], all[i])
		}
	}
	keys = make([]key, len(members))
	for i, list := range members {
		slices.SortFunc(list, func(a, b key) int { return bytes.Compare(a[:], b[:]) })
		h := sha256.New()
		for _, k := range list {
			h.Write(k[:])
		}
		h.Sum(keys[i][:0])
	}
	return of, keys
}

// SplitHeldOut parts the sequences of rows that are HeldOut from the others; both parts keep their order.
func SplitHeldOut(seqs []Sequence) (train, held []Sequence) {
	for _, s := range seqs {
		if s.HeldOut {
			held = append(held, s)
		} else {
			train = append(train, s)
		}
	}
	return train, held
}

// Seen is how many of the held-out sequences the model sees in training, too.
func Seen(train, held []Sequence) (n int) {
	seen := map[key]bool{}
	for _, s := range train {
		seen[s.key()] = true
	}
	for _, s := range held {
		if seen[s.key()] {
			n++
		}
	}
	return n
}

// HoldOut takes n sequences of every task out, those of the groups with the smallest digests; both
// parts keep their order. What is held out depends on what the model sees alone, not on the order
// of the rows, the seed or the machine. Groups stay together, across tasks too, so that nothing
// is learned by heart and then tested: one that is too large for what n has left is passed over.
func HoldOut(seqs []Sequence, n int) (train, held []Sequence) {
	of, keys := groups(seqs)
	sizes := make([]map[int]int, len(keys)) // of a group, by task
	left := map[int]int{}                   // by task
	for i, s := range seqs {
		if sizes[of[i]] == nil {
			sizes[of[i]] = map[int]int{}
		}
		sizes[of[i]][s.Task]++
		left[s.Task] = n
	}
	order := make([]int, len(keys))
	for g := range order {
		order[g] = g
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(bytes.Compare(keys[a][:], keys[b][:]), cmp.Compare(a, b))
	})
	chosen := make([]bool, len(keys))
	for _, g := range order {
		chosen[g] = true
		for task, size := range sizes[g] {
			chosen[g] = chosen[g] && size <= left[task]
		}
		if chosen[g] {
			for task, size := range sizes[g] {
				left[task] -= size
			}
		}
	}
	for i, s := range seqs {
		if chosen[of[i]] {
			held = append(held, s)
		} else {
			train = append(train, s)
		}
	}
	return train, held
}
