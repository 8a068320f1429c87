//go:build unix

package bench

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// endTogether has a command's end, where its context's comes first, be that of all it has started: they are a group of
// processes of their own, and no signal of the terminal's reaches them but by this program.
func endTogether(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error {
		err := syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
}
