package machine

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// What a guest is told of its clock is what the counter does, also when it is looked at for longer.
func TestClock(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		assert.Equal(t, clock(), "")
		return
	}
	text, ok := strings.CutPrefix(clock(), "tsc_early_khz=")
	assert.Assert(t, ok)
	khz, err := strconv.ParseFloat(text, 64)
	assert.NilError(t, err)
	from, first := read()
	<-time.After(time.Second)
	to, last := read()
	ratio := float64(last-first) / float64(to.Sub(from)) * 1e6 / khz
	assert.Assert(t, ratio > 0.999 && ratio < 1.001, "%f", ratio)
}
