package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
)

func (o *operator) Drain(_ context.Context, pool string, options driver.DrainOptions) (driver.DrainReport, error) {
	o.got = fmt.Sprintf("%s,%+v", pool, options)
	if pool == "none" {
		return driver.DrainReport{Ended: true}, errors.New(`there is no pool "none"`)
	}
	return driver.DrainReport{Lines: []string{"first"}}, nil
}

func (o *operator) Undrain(_ context.Context, pool string) (driver.DrainReport, error) {
	o.got = "undrain " + pool
	return driver.DrainReport{Lines: []string{"first", "Pool is mounted and well."}, Ended: true}, nil
}

// DrainProgress has news, no news, and the end.
func (o *operator) DrainProgress(_ context.Context, pool string, seen int) (driver.DrainReport, error) {
	o.asked++
	switch {
	case seen == 1:
		return driver.DrainReport{Lines: []string{"first", "second"}}, nil
	case o.asked < 4:
		return driver.DrainReport{Lines: []string{"first", "second"}}, nil
	}
	return driver.DrainReport{Lines: []string{"first", "second", "last"}, Ended: true}, fmt.Errorf("pool %s stays drained", pool)
}

func (o *operator) Leave(context.Context) ([]string, error) { return []string{"Unmounted all."}, nil }

// A drain is told as it goes, each line once, and its failure is the command's.
func TestDrain(t *testing.T) {
	for line, want := range map[string]struct{ got, out, problem string }{
		"drain p":                        {"p,{Stop:false Repair:false Hold:false}", "first\nsecond\nlast\n", "homelab-storage: pool p stays drained\n"},
		"drain p --stop --repair --hold": {"p,{Stop:true Repair:true Hold:true}", "first\nsecond\nlast\n", "homelab-storage: pool p stays drained\n"},
		"drain none":                     {"none,{Stop:false Repair:false Hold:false}", "", "homelab-storage: there is no pool \"none\"\n"},
		"undrain p":                      {"undrain p", "first\nPool is mounted and well.\n", ""},
	} {
		service := &operator{}
		serve(t, service)
		_, out, problem := run(t, "", append([]string{"x", "--socket", "p.sock"}, strings.Fields(line)...)...)
		assert.Equal(t, service.got, want.got, line)
		assert.Equal(t, out, want.out, line)
		assert.Equal(t, problem, want.problem, line)
	}
	code, _, problem := run(t, "", "x", "drain")
	assert.Equal(t, code, 2)
	assert.Equal(t, problem, "homelab-storage: write it as: homelab-storage drain POOL [flags]\n")
}
