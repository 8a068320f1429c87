package main

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/internal/version"
)

func TestVersion(t *testing.T) {
	code, out, _ := agora(t, "version")
	platform := runtime.GOOS + "/" + runtime.GOARCH
	if code != 0 || !strings.HasPrefix(out, "agora "+version.String()+", "+runtime.Version()+", "+platform+", with") {
		t.Errorf("code %d: %s", code, out)
	}
	_, out, _ = agora(t, "version", "--json")
	var v struct {
		Version, Go, Platform string
		Vulkan                *bool
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatal(err)
	}
	if v.Version != version.Read().Version || v.Go != runtime.Version() || v.Platform != platform ||
		v.Vulkan == nil || *v.Vulkan != vulkan.Compiled {
		t.Errorf("got %s", out)
	}
}
