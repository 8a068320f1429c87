package vulkan

import (
	"slices"
	"sort"
)

// chain finds the longest chain of commands of which each reads what the one before it has written. Where
// memory is used again is no link: with more memory it would not be. A kernel that may add to its result reads it.
type chain struct {
	parts   []part // in order, none overlaps another
	longest int
	renewed []part // reused by write
}

// part is bytes that a chain of so many commands has written.
type part struct {
	span
	length int
}

// add follows a command, and gives the length of the longest chain so far.
func (c *chain) add(reads, writes []span) int {
	length := 1
	for _, s := range reads {
		from, to := c.over(s)
		for _, p := range c.parts[from:to] {
			length = max(length, p.length+1)
		}
	}
	for _, s := range writes {
		c.write(s, length)
	}
	c.longest = max(c.longest, length)
	return c.longest
}

// over is the parts [from, to) that overlap s.
func (c *chain) over(s span) (from, to int) {
	from = sort.Search(len(c.parts), func(i int) bool { return c.parts[i].to > s.from })
	to = from
	for to < len(c.parts) && c.parts[to].from < s.to {
		to++
	}
	return from, to
}

// write makes s one part. What overlaps it keeps the rest.
func (c *chain) write(s span, length int) {
	from, to := c.over(s)
	c.renewed = c.renewed[:0]
	if from < to && c.parts[from].from < s.from {
		first := c.parts[from]
		c.renewed = append(c.renewed, part{span{first.from, s.from}, first.length})
	}
	c.renewed = append(c.renewed, part{s, length})
	if from < to && c.parts[to-1].to > s.to {
		last := c.parts[to-1]
		c.renewed = append(c.renewed, part{span{s.to, last.to}, last.length})
	}
	c.parts = slices.Replace(c.parts, from, to, c.renewed...)
}
