//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64)

package vulkan

// #include "vk.h"
import "C"

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"github.com/agora-ml/agora/internal/regular"
)

// The file of a pipeline cache is a SHA-256 and what the driver gave. Drivers check whom
// their data is for, but not all of them that it is whole.

// maxCache is more bytes than any pipeline cache has.
const maxCache = 256 << 20

// loadCache opens the device's pipeline cache with what the file of an earlier run holds.
// A file that cannot be read is as good as none: pipelines are only compiled again.
func (g *gpu) loadCache(dir string) error {
	var data []byte
	if g.cacheFile = g.cachePath(dir); g.cacheFile != "" {
		if file, err := regular.Read(g.cacheFile, maxCache); err == nil && len(file) > sha256.Size {
			sum := sha256.Sum256(file[sha256.Size:])
			if bytes.Equal(sum[:], file[:sha256.Size]) {
				data = file[sha256.Size:]
			}
		}
	}
	g.cached = len(data)
	if r := C.vk_cache_load(g.c, unsafe.Pointer(unsafe.SliceData(data)), C.uint64_t(len(data))); r != 0 {
		return failure("vkCreatePipelineCache", int(r))
	}
	return nil
}

// cachePath is one file for each device and driver, or "".
func (g *gpu) cachePath(dir string) string {
	if dir == NoCache {
		return ""
	}
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(user, "agora", "vulkan")
	}
	return filepath.Join(dir, fmt.Sprintf("%x-%x-%x.pipelines", g.facts.vendor, g.facts.device,
		C.GoBytes(unsafe.Pointer(&g.facts.cache_uuid[0]), 16)))
}

// saveCache writes the file anew if pipelines were added. It appears whole or not at all;
// where it cannot be written, the next run compiles again.
func (g *gpu) saveCache() {
	if g.cacheFile == "" || len(g.pipelines) == 0 {
		return
	}
	var n C.uint64_t
	if r := C.vk_cache_save(g.c, nil, &n); r != 0 || n == 0 || int(n) == g.cached {
		return
	}
	file := make([]byte, sha256.Size+int(n))
	if r := C.vk_cache_save(g.c, unsafe.Pointer(&file[sha256.Size]), &n); r != 0 {
		return
	}
	file = file[:sha256.Size+int(n)]
	sum := sha256.Sum256(file[sha256.Size:])
	copy(file, sum[:])
	if os.MkdirAll(filepath.Dir(g.cacheFile), 0o755) != nil {
		return
	}
	tmp, err := os.CreateTemp(filepath.Dir(g.cacheFile), "*.tmp")
	if err != nil {
		return
	}
	_, err = tmp.Write(file)
	if errors.Join(err, tmp.Close()) != nil || os.Rename(tmp.Name(), g.cacheFile) != nil {
		os.Remove(tmp.Name())
	}
}
