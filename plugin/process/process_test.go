package process

import (
	"os"
	"os/exec"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
)

func TestParseStarted(t *testing.T) {
	got, err := parseStarted("42 (a (b) c) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 10 11\n")
	assert.NilError(t, err)
	assert.Equal(t, got, uint64(987654))
	for _, line := range []string{"", "42 (a) S 1", "42 (a) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 x 10"} {
		_, err := parseStarted(line)
		assert.ErrorContains(t, err, "process status")
	}
}

func TestEnded(t *testing.T) {
	self := Of(os.Getpid())
	assert.Assert(t, self.Started > 0)
	assert.Assert(t, !Ended(self))
	assert.Assert(t, Ended(driver.Engine{PID: self.PID, Started: self.Started + 1}), "a later process with the same number")
	assert.Assert(t, !Ended(driver.Engine{PID: self.PID}), "an unknown start")
	assert.Assert(t, !Ended(driver.Engine{}))

	child := exec.Command("sleep", "60")
	assert.NilError(t, child.Start())
	engine := Of(child.Process.Pid)
	assert.Assert(t, !Ended(engine))
	assert.NilError(t, child.Process.Kill())
	_ = child.Wait()
	assert.Assert(t, Ended(engine))
	assert.Equal(t, Of(engine.PID).Started, uint64(0))
}

func TestOver(t *testing.T) {
	self := Of(os.Getpid())
	assert.Assert(t, !Over(self))
	assert.Assert(t, Over(driver.Engine{PID: self.PID, Started: self.Started + 1}))
	assert.Assert(t, parseZombie("42 (a (b) c) Z 1 42"))
	assert.Assert(t, !parseZombie("42 (Z) Z) D 1 42"))
	assert.Assert(t, !parseZombie(""))
}
