package data

import (
	"fmt"
	"io"
	"io/fs"

	"github.com/agora-ml/agora/internal/hostmemory"
)

// budget bounds what rows may take, counted as they are read: their bytes, unpacked, and for
// each row what it costs to have one.
type budget struct {
	most, used int
	given      bool // by the caller: else files that unpack to far too much are refused, too
}

const (
	rowCost      = 256 // bytes
	leastBudget  = 8 << 20
	usualBudget  = 4 << 30 // where nobody knows how much memory there is
	ratio        = 200     // times that text hardly shrinks to: ten times is usual
	beforeRatio  = 16 << 20
	budgetOption = "--max-data-bytes allows more"
)

// newBudget is that of the caller, or, once it is more than the least, a quarter of the memory
// that is left: the tokens of the rows come beside them, and Go's heap grows before it is
// collected.
func newBudget(most int) *budget {
	if most > 0 {
		return &budget{most: most, given: true}
	}
	return &budget{most: leastBudget}
}

// usual is the budget where the caller gives none.
func usual() int {
	if left := hostmemory.Available(); left.Known() {
		return max(left.Bytes/4, leastBudget)
	}
	return usualBudget
}

// take spends bytes.
func (b *budget) take(bytes int) error {
	err := b.allows(bytes)
	b.used += bytes
	return err
}

func (b *budget) allows(bytes int) error {
	if bytes > b.most-b.used && !b.given && b.most == leastBudget {
		b.most = usual() // asked for once it matters
	}
	if bytes > b.most-b.used {
		return fmt.Errorf("want at most %d bytes of rows in all, unpacked and %d more for each of them, got more: %s",
			b.most, rowCost, budgetOption)
	}
	return nil
}

// admits refuses a file that says of itself that it is larger than what there is room for, or
// than a document may be.
func (b *budget) admits(f io.Reader, document bool) error {
	sized, ok := f.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return nil // a pipe
	}
	info, err := sized.Stat()
	switch {
	case err != nil:
		return err
	case document && info.Size() > maxDocument:
		return fmt.Errorf("want at most %d bytes of text in a file, got %d", maxDocument, info.Size())
	}
	return b.allows(int(info.Size()))
}

// spending reads a file of a budget.
type spending struct {
	r        io.Reader
	b        *budget
	packed   *int // bytes read of the packed file; nil if it is not packed
	unpacked int
}

func (c *spending) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.unpacked += n
	if tooMuch := c.b.take(n); tooMuch != nil {
		return 0, tooMuch
	}
	if c.packed != nil && !c.b.given && c.unpacked > beforeRatio && c.unpacked/ratio > *c.packed {
		return 0, fmt.Errorf("want text that unpacks to at most %d times its size, got %d bytes out of %d: %s", ratio,
			c.unpacked, *c.packed, budgetOption)
	}
	return n, err
}

// counter counts the bytes that are read.
type counter struct {
	io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}
