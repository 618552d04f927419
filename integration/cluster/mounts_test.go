//go:build lab

package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// mount is one that the engine asked for the service's volume, by the clock of its machine.
type mount struct {
	asked, answered time.Time
	refused         bool
}

// mountLine is what the plugin says of such a call (plugin/protocol, serve), as the engine has it in its own log: one that was refused
// is a warning, with the error before the ID.
var mountLine = regexp.MustCompile(`time=\\"([^"\\]+)\\" level=(info|warning) msg=call call=VolumeDriver\.Mount duration_ms=([0-9.]+) (error=.* )?id=\S+ volume=served\b`)

// mountsIn finds in an engine's log what it asked until a Mount ended well, since a moment.
func mountsIn(log string, since time.Time) ([]mount, error) {
	var mounts []mount
	for _, found := range mountLine.FindAllStringSubmatch(log, -1) {
		answered, err := time.Parse(time.RFC3339, found[1])
		if err != nil {
			return nil, err
		}
		milliseconds, err := strconv.ParseFloat(found[3], 64)
		if err != nil {
			return nil, err
		}
		if answered.Before(since) {
			continue
		}
		took := time.Duration(milliseconds * float64(time.Millisecond))
		mounts = append(mounts, mount{asked: answered.Add(-took), answered: answered, refused: found[4] != ""})
		if found[4] == "" {
			return mounts, nil
		}
	}
	return nil, fmt.Errorf("no Mount ended well since %s; %d were refused", since, len(mounts))
}

// mounts are those of a machine since a moment of its clock; the last one ended well.
func (s *site) mounts(t *testing.T, since time.Time) []mount {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(s.folder(), "logs", s.node.Name()+".dockerd.log"))
	assert.NilError(t, err)
	mounts, err := mountsIn(string(log), since)
	assert.NilError(t, err, s.node.Name())
	return mounts
}

// shares are the parts of a failover since a moment: the plugin had a Mount in its hands for a time, and between a refusal and the next
// Mount Swarm made a pause. The whole is from the first Mount that was in its hands then, or later, until it was answered well.
type shares struct {
	plugin, whole time.Duration
	refused       int
}

func sharesOf(mounts []mount, back time.Time) shares {
	var sum shares
	var first time.Time
	for _, one := range mounts {
		if !one.answered.After(back) {
			continue
		}
		asked := one.asked
		if asked.Before(back) {
			asked = back
		}
		if first.IsZero() {
			first = asked
		}
		sum.plugin += one.answered.Sub(asked)
		sum.whole = one.answered.Sub(first)
		if one.refused {
			sum.refused++
		}
	}
	return sum
}

// TestMountsOfAFailover shows, without a lab, that a Mount that was refused counts.
func TestMountsOfAFailover(t *testing.T) {
	at := func(second float64) time.Time {
		return time.Date(2026, 11, 23, 1, 4, 0, 0, time.UTC).Add(time.Duration(second * float64(time.Second)))
	}
	line := func(second, took float64, failed string) string {
		level, plain := "info", "level=info"
		if failed != "" {
			level, plain, failed = "error", "level=warning", `error=\"`+failed+`\" `
		}
		return fmt.Sprintf(`time="2026-11-23T01:04:39Z" level=%s msg="time=\"%s\" %s msg=call call=VolumeDriver.Mount duration_ms=%g %sid=a18a volume=served" plugin=7d84`+"\n",
			level, at(second).Format("2006-01-02T15:04:05.000Z"), plain, took*1000, failed)
	}
	log := line(1, 0.5, "") + // before the power cut
		line(20, 10, `volume \\\"served\\\": node node3 has it for itself alone; waited 9.6s for it. id=b volume=other`) +
		`time="2026-11-23T01:04:24Z" level=info msg="time=\"2026-11-23T01:04:24.100Z\" level=info msg=call call=VolumeDriver.Mount duration_ms=3 id=c volume=another" plugin=7d84` + "\n" +
		line(26, 3, `away`) + line(29, 0.25, "") + line(40, 7, "")
	mounts, err := mountsIn(log, at(2))
	assert.NilError(t, err)
	assert.Equal(t, len(mounts), 3)
	for i, want := range []mount{
		{asked: at(10), answered: at(20), refused: true}, {asked: at(23), answered: at(26), refused: true}, {asked: at(28.75), answered: at(29)},
	} {
		assert.Equal(t, mounts[i], want)
	}
	for _, test := range []struct {
		back float64
		want shares
	}{
		{2, shares{plugin: 13250 * time.Millisecond, whole: 19 * time.Second, refused: 2}},
		{19, shares{plugin: 4250 * time.Millisecond, whole: 10 * time.Second, refused: 2}},
		{22, shares{plugin: 3250 * time.Millisecond, whole: 6 * time.Second, refused: 1}},
		{28.9, shares{plugin: 100 * time.Millisecond, whole: 100 * time.Millisecond}},
		{30, shares{}},
	} {
		assert.Equal(t, sharesOf(mounts, at(test.back)), test.want, "the pool was back at %g s", test.back)
	}
	_, err = mountsIn(line(26, 3, "away"), at(2))
	assert.ErrorContains(t, err, "no Mount ended well since")
}
