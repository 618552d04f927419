package main

import (
	"errors"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

func TestTheReportSaysPlainlyWhatWasMissed(t *testing.T) {
	r := &report{section: "first"}
	r.judge("quick", "0.5 ms", "< 1 ms", true)
	r.judge("slow", "1.5 ms", "< 1 ms", false)
	r.know("aside", milliseconds(3))
	r.section = "second"
	r.fail(errors.New("there is no disk"))
	var text strings.Builder
	assert.NilError(t, r.write(&text))
	assert.Equal(t, text.String(), `measured       result                        goal
first
  quick        0.5 ms                        < 1 ms  passed
  slow         1.5 ms                        < 1 ms  MISSED
  aside        3.00 ms (3.00 ms to 3.00 ms)
second
  (see below)                                        NOT MEASURED

1 goals met, 1 missed, 1 sections not measured
not measured: second: there is no disk
`)
	for wanted, code := range map[verdict]int{missed: 1, unmeasured: 1, passed: 1} {
		assert.Equal(t, r.count(wanted), code)
	}
}

func TestTheExitCode(t *testing.T) {
	met, short, broken := &report{}, &report{}, &report{}
	met.judge("x", "", "", true)
	short.judge("x", "", "", false)
	broken.fail(errors.New("x"))
	assert.Equal(t, exitCode(met, true), 0)
	assert.Equal(t, exitCode(short, false), 0)
	assert.Equal(t, exitCode(short, true), 1)
	assert.Equal(t, exitCode(broken, false), 1)
}
