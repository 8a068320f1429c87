// Package pages maps memory outside Go's heap, in huge pages where the system has them.
package pages

// Huge is the size of a huge page. A mapping of at least so much asks for them: first touching
// 64 MB of small pages costs six times as much, and neighbors within a huge page never meet
// in the same place of a cache that is indexed by physical addresses. A mapping whose size is
// a multiple of Huge begins at the beginning of one.
const Huge = 2 << 20

// A Pool maps pages that lie behind each other, so that huge ones hold what is smaller than they are. A token reads all weights
// of a model: in small pages they are more than a processor knows the places of. The zero Pool is ready.
type Pool struct {
	rest []byte // of the newest mapping, not handed out yet
}
