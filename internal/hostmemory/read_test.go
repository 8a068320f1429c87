package hostmemory

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	mount1  = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
	mount2  = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	unified = "42 31 0:39 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
	others  = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n24 31 0:22 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\nnonsense\n"
	none1   = "9223372036854771712"
)

// tree is a made-up system: paths and what stands in the files.
type tree map[string]string

func (t tree) read() Left {
	files := fstest.MapFS{}
	for name, text := range t {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return read(files)
}

func TestRead(t *testing.T) {
	v1, v2 := "sys/fs/cgroup/memory", "sys/fs/cgroup"
	for _, c := range []struct {
		name string
		tree
		want int // MiB; -1: unknown
		by   string
	}{
		{"nothing known", tree{}, -1, ""},
		{"no groups", tree{"proc/meminfo": "MemTotal: 4194304 kB\nMemAvailable: 2097152 kB\n"}, 2048, "the machine"},
		{"version 2", tree{"proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": others + mount2,
			v2 + "/a/b/memory.max": "62914560\n", v2 + "/a/b/memory.current": "10485760\n"},
			50, "the control group /sys/fs/cgroup/a/b (memory.max of 60.0 MiB)"},
		{"version 2, files in memory that may go",
			tree{"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": mount2, v2 + "/a/memory.max": "62914560",
				v2 + "/a/memory.current": "52428800",
				v2 + "/a/memory.stat":    "anon 1\nfile 5\ninactive_file 20971520\nactive_file 10485760\n"}, 40,
			"memory.max of 60.0 MiB"},
		{"version 2, an ancestor's", tree{"proc/self/cgroup": "0::/a/b/c\n", "proc/self/mountinfo": mount2,
			v2 + "/a/b/c/memory.max": "max\n", v2 + "/a/b/memory.max": "209715200\n",
			v2 + "/a/memory.max": "104857600\n", v2 + "/a/memory.current": "1048576"}, 99,
			"/sys/fs/cgroup/a (memory.max of 100.0 MiB)"},
		{"version 2, memory.high", tree{"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": mount2,
			v2 + "/a/memory.max": "209715200", v2 + "/a/memory.high": "104857600"},
			100, "/sys/fs/cgroup/a (memory.high of 100.0 MiB)"},
		{"version 2, max", tree{"proc/meminfo": "MemAvailable: 1048576 kB", "proc/self/cgroup": "0::/a\n",
			"proc/self/mountinfo": mount2, v2 + "/a/memory.max": "max"}, 1024, "the machine"},
		{"version 2, more than the machine has", tree{"proc/meminfo": "MemAvailable: 1048576 kB",
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": mount2, v2 + "/a/memory.max": "109951162777600"},
			1024, "the machine"},
		{"version 2, past all numbers", tree{"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": mount2,
			v2 + "/a/memory.max": "99999999999999999999999"}, -1, ""},
		{"version 2, all used", tree{"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": mount2,
			v2 + "/a/memory.max": "1048576", v2 + "/a/memory.current": "2097152"}, 0, "memory.max of 1.0 MiB"},
		{"version 2, none at all", tree{"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": mount2,
			v2 + "/a/memory.max": "0"}, 0, "memory.max of 0.0 MiB"},
		{"version 2, a namespace of its own", tree{"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mount2,
			v2 + "/memory.max": "62914560"}, 60, "/sys/fs/cgroup (memory.max"},
		{"version 2, outside of the namespace", tree{"proc/self/cgroup": "0::/../../other\n",
			"proc/self/mountinfo": mount2, v2 + "/memory.max": "62914560"}, 60, "/sys/fs/cgroup (memory.max"},
		{"version 2, a part of the hierarchy", tree{"proc/self/cgroup": "0::/docker/x/y\n",
			"proc/self/mountinfo": strings.Replace(mount2, " / ", " /docker/x ", 1),
			v2 + "/y/memory.max":  "104857600", v2 + "/memory.max": "62914560"}, 60, "/sys/fs/cgroup (memory.max"},
		{"version 2, another part of it", tree{"proc/self/cgroup": "0::/other\n",
			"proc/self/mountinfo": strings.Replace(mount2, " / ", " /oth ", 1), v2 + "/memory.max": "62914560"}, 60,
			""},
		{"version 2, blanks in the path", tree{"proc/self/cgroup": "0::/a b:c\n",
			"proc/self/mountinfo":         strings.Replace(mount2, "/sys/fs/cgroup", `/sys/fs/c\040g`, 1),
			"sys/fs/c g/a b:c/memory.max": "62914560"}, 60, "/sys/fs/c g/a b:c ("},
		{"version 1", tree{"proc/self/cgroup": "9:name=systemd:/\n4:memory:/a/b\n1:cpu:/c\n",
			"proc/self/mountinfo": others + mount1, v1 + "/a/b/memory.limit_in_bytes": "62914560\n",
			v1 + "/a/b/memory.usage_in_bytes": "20971520",
			v1 + "/a/b/memory.stat":           "inactive_file 0\ntotal_inactive_file 5242880\ntotal_active_file 5242880\n", v1 + "/a/memory.limit_in_bytes": none1, v1 + "/memory.limit_in_bytes": none1},
			50, "the control group /sys/fs/cgroup/memory/a/b (memory.limit_in_bytes of 60.0 MiB)"},
		{"version 1, an ancestor's", tree{"proc/self/cgroup": "4:cpu,memory:/a/b\n", "proc/self/mountinfo": mount1,
			v1 + "/a/b/memory.limit_in_bytes": none1, v1 + "/a/memory.limit_in_bytes": "62914560"}, 60,
			"memory/a (memory"},
		{"version 1, docker without a namespace", tree{"proc/self/cgroup": "4:memory:/docker/x\n",
			"proc/self/mountinfo":         strings.Replace(mount1, " / ", " /docker/x ", 1),
			v1 + "/memory.limit_in_bytes": "62914560"}, 60, "cgroup/memory ("},
		{"version 1, docker, the host's path", tree{"proc/self/cgroup": "4:memory:/docker/x\n",
			"proc/self/mountinfo": mount1, v1 + "/memory.limit_in_bytes": "62914560"}, 60, "cgroup/memory ("},
		{"version 1, no limit", tree{"proc/self/cgroup": "4:memory:/a\n", "proc/self/mountinfo": mount1,
			v1 + "/a/memory.limit_in_bytes": none1}, -1, ""},
		{"both, version 1 counts", tree{"proc/self/cgroup": "4:memory:/a\n0::/a\n",
			"proc/self/mountinfo": mount1 + unified, v1 + "/a/memory.limit_in_bytes": "62914560"}, 60,
			"cgroup/memory/a ("},
		{"both, version 2 counts", tree{"proc/self/cgroup": "0::/a\n4:cpu:/b\n", "proc/self/mountinfo": unified,
			"sys/fs/cgroup/unified/a/memory.max": "62914560"}, 60, "unified/a ("},
		{"both have one", tree{"proc/self/cgroup": "4:memory:/a\n0::/a\n", "proc/self/mountinfo": mount1 + unified,
			v1 + "/a/memory.limit_in_bytes": "62914560", "sys/fs/cgroup/unified/a/memory.max": "31457280"}, 30,
			"unified/a ("},
		{"mounted twice", tree{"proc/self/cgroup": "4:memory:/a\n",
			"proc/self/mountinfo":           mount1 + strings.Replace(mount1, "/sys/", "/chroot/sys/", 1),
			v1 + "/a/memory.limit_in_bytes": "62914560", "chroot/" + v1 + "/a/memory.limit_in_bytes": "62914560",
			"chroot/" + v1 + "/a/memory.usage_in_bytes": "1048576"}, 60, "the control group /sys/"},
		{"mounted at the root", tree{"proc/self/cgroup": "0::/a/b\n",
			"proc/self/mountinfo": strings.Replace(mount2, "/sys/fs/cgroup", "/", 1), "a/memory.max": "62914560"}, 60,
			"the control group /a ("},
		{"not mounted", tree{"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": others}, -1, ""},
		{"the process's own limit", tree{"proc/meminfo": "MemAvailable: 1048576 kB",
			"proc/self/limits": "Limit Soft Hard Units\nMax address space         536870912            unlimited            bytes\n", "proc/self/status": "VmSize:\t  262144 kB\nRssAnon:\t 2048 kB\n"},
			256, "the process's limit of 512.0 MiB of address space (ulimit -v)"},
		{"no limit of its own", tree{"proc/meminfo": "MemAvailable: 1048576 kB",
			"proc/self/limits": "Max address space         unlimited            unlimited            bytes\n"}, 1024,
			"the machine"},
	} {
		l := c.read()
		if got := fmt.Sprint(l.Bytes>>20, l.Known()); got != fmt.Sprint(max(c.want, 0), c.want >= 0) ||
			!strings.Contains(l.By, c.by) {
			t.Errorf("%s: %d MiB by %q, want %d by %q", c.name, l.Bytes>>20, l.By, c.want, c.by)
		}
	}
	if own := (tree{"proc/self/status": "RssAnon:\t 2048 kB\n"}).read().Own; own != 2<<20 {
		t.Errorf("own memory: %d", own)
	}
}

// Whatever the kernel's files hold, what is left is no negative number.
func FuzzRead(f *testing.F) {
	f.Add("0::/a/b\n4:memory:/a\n", mount1+mount2+others, "62914560\n", "inactive_file 5\n", "MemAvailable: 5 kB\n")
	f.Add("0::/../..\n", `30 23 0:26 /\057\1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw`, "max", "", "")
	f.Fuzz(func(t *testing.T, groups, mounts, limit, stat, machine string) {
		all := tree{"proc/self/cgroup": groups, "proc/self/mountinfo": mounts, "proc/meminfo": machine,
			"proc/self/status": "VmSize: " + limit, "proc/self/limits": "Max address space " + limit}
		for _, dir := range []string{"sys/fs/cgroup", "sys/fs/cgroup/a", "sys/fs/cgroup/memory/a"} {
			all[dir+"/memory.max"], all[dir+"/memory.limit_in_bytes"], all[dir+"/memory.current"],
				all[dir+"/memory.stat"] = limit, limit, limit, stat
		}
		if l := all.read(); l.Bytes < 0 || l.Own < 0 || !l.Known() && l.Bytes != 0 {
			t.Errorf("%+v", l)
		}
	})
}
