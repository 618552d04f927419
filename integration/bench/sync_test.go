package main

import (
	"testing"

	"gotest.tools/v3/assert"
)

func TestCallsAreCountedOnce(t *testing.T) {
	trace := `30 fsync(9)                          = 0
31 fsync(12 <unfinished ...>
30 syncfs(4)                         = 0
31 <... fsync resumed>)              = 0
30 --- SIGURG {si_signo=SIGURG, si_code=SI_TKILL, si_pid=1, si_uid=0} ---
30 +++ exited with 0 +++
`
	assert.Equal(t, describeSyncs([]byte(trace)), "2 fsync, 1 syncfs")
	assert.Equal(t, describeSyncs(nil), "none")
}
