//go:build unix

package bench

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// With a program that is ended ends what it has started.
func TestBesideProgramEndsWithWhatItStarted(t *testing.T) {
	told := t.TempDir() + "/pid"
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := besideOf(t, ctx, "sleep 60 &\necho $! >"+told+".new\nmv "+told+".new "+told+"\nwait\n")
		done <- err
	}()
	within := func(what string, f func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	var pid int
	within("it has not started another", func() bool {
		text, err := os.ReadFile(told)
		if err == nil {
			pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		return err == nil
	})
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	defer syscall.Kill(pid, syscall.SIGKILL)
	within("what it has started lives on", func() bool { return gone(pid) })
}

// gone reports whether a process has ended, also where nobody has asked for how.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	state, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat") // PID (NAME) STATE, on Linux
	_, after, _ := strings.Cut(string(state), ") ")
	return err == nil && strings.HasPrefix(after, "Z")
}
