// Command modulezip packs a commit of this repository as a module proxy would serve it, into
// a folder that can be a GOPROXY:
//
//	go run . v0.1.0 HEAD /tmp/proxy
//	GOPROXY=file:///tmp/proxy GONOSUMDB='*' go install github.com/agora-ml/agora/cmd/agora@v0.1.0
//
// What a proxy refuses (files too large, names that differ in case only) is an error here.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

const path = "github.com/agora-ml/agora"

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: modulezip VERSION REVISION FOLDER")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "modulezip:", err)
		os.Exit(1)
	}
}

// pack writes the four files that the protocol of module proxies (go.dev/ref/mod) knows.
func pack(version, revision, proxy string) (err error) {
	m := module.Version{Path: path, Version: version}
	if err := module.Check(m.Path, m.Version); err != nil {
		return err
	}
	tree, err := os.MkdirTemp("", "modulezip-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tree)
	if err := checkOut(revision, tree); err != nil {
		return err
	}
	dir := filepath.Join(proxy, path, "@v")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, version+".zip"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := zip.CreateFromDir(f, m, tree); err != nil {
		return err
	}
	mod, err := os.ReadFile(filepath.Join(tree, "go.mod"))
	if err != nil {
		return err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{version, time.Now().UTC()})
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{version + ".mod": mod, version + ".info": info,
		"list": []byte(version + "\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o666); err != nil {
			return err
		}
	}
	size, err := f.Stat()
	if err != nil {
		return err
	}
	fmt.Printf("%s@%s: %.1f MiB\n", path, version, float64(size.Size())/(1<<20))
	return nil
}

// checkOut writes the files of a commit into a folder. (zip.CreateFromVCS does not know the
// worktrees of git.)
func checkOut(revision, dir string) error {
	root, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return fmt.Errorf("git rev-parse: %w", err)
	}
	archive := exec.Command("git", "-C", strings.TrimSpace(string(root)), "archive", revision)
	unpack := exec.Command("tar", "-x", "-C", dir)
	if unpack.Stdin, err = archive.StdoutPipe(); err != nil {
		return err
	}
	if err := unpack.Start(); err != nil {
		return err
	}
	if err := archive.Run(); err != nil {
		return fmt.Errorf("git archive: %w", err)
	}
	return unpack.Wait()
}
