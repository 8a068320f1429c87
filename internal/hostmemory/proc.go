package hostmemory

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
)

// read is Available for Linux's files under root: /proc and /sys.
func read(root fs.FS) Left {
	least := Left{Bytes: math.MaxInt}
	take := func(bytes int, by string) {
		if bytes < least.Bytes {
			least.Bytes, least.By = max(bytes, 0), by
		}
	}
	if kib, ok := number(field(root, "proc/meminfo", "MemAvailable:")); ok {
		take(times(kib, 1<<10), "the machine")
	}
	for _, g := range groups(root) {
		take(g.left, g.String())
	}
	if limit, ok := addressSpace(root); ok {
		used, _ := number(field(root, "proc/self/status", "VmSize:"))
		take(limit-times(used, 1<<10), fmt.Sprintf("the process's limit of %s of address space (ulimit -v)",
			mib(limit)))
	}
	if !least.Known() {
		least.Bytes = 0
	}
	own, _ := number(field(root, "proc/self/status", "RssAnon:"))
	least.Own = times(own, 1<<10)
	return least
}

// maxFile bounds what is read of a file of the kernel.
const maxFile = 1 << 20

// lines are those of a small file, none if it cannot be read.
func lines(root fs.FS, name string) []string {
	f, err := root.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	var all []string
	s := bufio.NewScanner(f)
	s.Buffer(nil, maxFile)
	for size := 0; s.Scan() && size < maxFile; size += len(s.Bytes()) {
		all = append(all, s.Text())
	}
	return all
}

// field is the word behind a name at the beginning of a line.
func field(root fs.FS, file, name string) string {
	for _, line := range lines(root, file) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == name {
			return words[1]
		}
	}
	return ""
}

// addressSpace is the soft limit of the process's address space.
func addressSpace(root fs.FS) (int, bool) {
	for _, line := range lines(root, "proc/self/limits") {
		if rest, ok := strings.CutPrefix(line, "Max address space"); ok {
			if words := strings.Fields(rest); len(words) > 0 {
				return number(words[0])
			}
		}
	}
	return 0, false
}

// number reads a count of bytes or KiB; false for "max", "unlimited", and what is none.
func number(word string) (int, bool) {
	n, err := strconv.ParseUint(string(bytes.TrimSpace([]byte(word))), 10, 64)
	if err != nil {
		return 0, false
	}
	return int(min(n, math.MaxInt)), true
}

// times multiplies without passing the largest int.
func times(n, by int) int {
	if n > math.MaxInt/by {
		return math.MaxInt
	}
	return n * by
}

func mib(n int) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
