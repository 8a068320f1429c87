package hostmemory

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// group is a control group with a limit that the process is in, itself or by an ancestor.
type group struct {
	dir   string // under root
	file  string // of the limit
	limit int
	left  int // of the limit, beside what cannot be reclaimed
}

func (g group) String() string {
	return fmt.Sprintf("the control group /%s (%s of %s)", g.dir, g.file, mib(g.limit))
}

// version tells the files of a version of control groups.
type version struct {
	limits []string
	used   string
	cached []string // of memory.stat: what the kernel takes away where memory is short
}

var (
	version1 = version{[]string{"memory.limit_in_bytes"}, "memory.usage_in_bytes",
		[]string{"total_inactive_file", "total_active_file"}}
	version2 = version{[]string{"memory.max", "memory.high"}, "memory.current",
		[]string{"inactive_file", "active_file"}}
)

// groups are the groups with a limit from the process's own up to the root of each hierarchy
// that counts memory, as far as it is mounted.
func groups(root fs.FS) (all []group) {
	of := map[string]string{} // the process's path in the hierarchy of each filesystem type
	for _, line := range lines(root, "proc/self/cgroup") {
		parts := strings.SplitN(line, ":", 3) // hierarchy:controllers:path
		switch {
		case len(parts) != 3:
		case parts[0] == "0" && parts[1] == "":
			of["cgroup2"] = parts[2]
		case has(parts[1], "memory"):
			of["cgroup"] = parts[2]
		}
	}
	seen := map[string]bool{} // what is mounted again elsewhere, as for a chroot
	for _, line := range lines(root, "proc/self/mountinfo") {
		m, ok := parseMount(line)
		own, in := of[m.kind]
		if !ok || !in || m.kind == "cgroup" && !has(m.options, "memory") || seen[m.device+" "+m.root] {
			continue
		}
		v := version1
		if m.kind == "cgroup2" {
			v = version2
		}
		top := path.Join(".", strings.TrimPrefix(path.Clean(m.at), "/"))
		if _, err := fs.ReadDir(root, top); err == nil { // else another mount may tell
			seen[m.device+" "+m.root] = true
		}
		for dir := path.Join(top, m.below(own)); ; dir = path.Dir(dir) {
			all = append(all, v.limited(root, dir)...)
			if dir == top || dir == "." {
				break
			}
		}
	}
	return all
}

// limited are the limits of one group.
func (v version) limited(root fs.FS, dir string) (all []group) {
	for _, file := range v.limits {
		limit, ok := number(first(root, path.Join(dir, file)))
		if !ok || limit >= noLimit {
			continue
		}
		used, _ := number(first(root, path.Join(dir, v.used)))
		for _, name := range v.cached {
			if n, ok := number(field(root, path.Join(dir, "memory.stat"), name)); ok {
				used -= min(n, used)
			}
		}
		all = append(all, group{dir, file, limit, limit - used})
	}
	return all
}

// noLimit is about what version 1 says for none: the largest number of whole pages.
const noLimit = 1 << 62

func first(root fs.FS, name string) string {
	if all := lines(root, name); len(all) > 0 {
		return strings.TrimSpace(all[0])
	}
	return ""
}

// mount is a line of /proc/self/mountinfo.
type mount struct {
	device  string // of the hierarchy
	root    string // the part of the hierarchy that is mounted
	at      string
	kind    string
	options string // of the hierarchy: its controllers
}

// parseMount reads "36 35 98:0 /root /at options optional… - kind source options".
func parseMount(line string) (m mount, ok bool) {
	before, behind, ok := strings.Cut(line, " - ")
	front, back := strings.Fields(before), strings.Fields(behind)
	if !ok || len(front) < 6 || len(back) < 1 {
		return m, false
	}
	m = mount{device: front[2], root: unescape(front[3]), at: unescape(front[4]), kind: back[0]}
	if len(back) > 2 {
		m.options = back[2]
	}
	return m, true
}

// below is where the group of the path own lies below the mount: at its top where the
// mount shows another part of the hierarchy, as in a container that sees only its own
// groups ("/") or is in a namespace of others ("/../…").
func (m mount) below(own string) string {
	rest, ok := strings.CutPrefix(own, strings.TrimSuffix(m.root, "/"))
	if !ok || rest != "" && rest[0] != '/' || has(strings.ReplaceAll(own, "/", ","), "..") {
		return ""
	}
	return rest
}

// unescape undoes how mountinfo writes blanks and backslashes: \040.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// has reports whether a word is in a list separated by commas.
func has(list, word string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if item == word {
			return true
		}
	}
	return false
}
