package tokenizer

import (
	"slices"
	"sort"
)

// prefixSet finds which of some strings a text begins with. It holds no more than
// the strings, sorted, however long and many a file makes them.
type prefixSet struct {
	sorted []string
	first  [256]bool // bytes that a string begins with
}

func newPrefixSet(strings []string) prefixSet {
	s := prefixSet{sorted: slices.Sorted(slices.Values(strings))}
	for _, x := range strings {
		s.first[x[0]] = true
	}
	return s
}

// longest is the length of the longest string that text begins with, 0 if none: it
// narrows the sorted strings byte by byte to those that share the text's beginning.
func (s *prefixSet) longest(text string) int {
	if text == "" || !s.first[text[0]] {
		return 0
	}
	found, group := 0, s.sorted
	for n := 0; n < len(text) && len(group) > 0; n++ {
		c := text[n]
		if len(group[0]) == n { // sorts before its continuations
			group = group[1:]
		}
		lo := sort.Search(len(group), func(i int) bool { return group[i][n] >= c })
		group = group[lo:]
		group = group[:sort.Search(len(group), func(i int) bool { return group[i][n] > c })]
		if len(group) > 0 && len(group[0]) == n+1 {
			found = n + 1
		}
	}
	return found
}
