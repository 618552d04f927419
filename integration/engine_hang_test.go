//go:build integration

package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

const (
	// besideLimit is what nineteen of twenty calls for other volumes may take while servers hang.
	besideLimit = 50 * time.Millisecond
	besideTurns = 60
	hanging     = 8
	// silenceLimit is when all who asked such a server are answered: a greeting is waited for 15 s, by all at once.
	silenceLimit = 20 * time.Second
)

// Servers that accept connections and then say nothing hold up neither a database's Mount and Unmount nor a List, nor each other.
func TestServersThatHangHoldUpNothingElse(t *testing.T) {
	e := plugged(t)
	c := newCaller(t, e)
	name := volume(t, e, "")
	server := e.Command(context.WithoutCancel(t.Context()), "busybox", "nc", "-ll", "-p", "445", "-e", "sleep", "600")
	assert.NilError(t, server.Start())
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	eventually(t, func() error {
		_, err := e.Run(t.Context(), "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/445")
		return err
	})

	answered := make(chan string, hanging)
	var waiting sync.WaitGroup
	asked := time.Now()
	for i := range hanging { // each a server of its own
		waiting.Go(func() {
			body := fmt.Sprintf(`{"Name":"hung%[1]d","Opts":{"type":"cifs","device":"//127.0.0.%[1]d/share","o":"guest"}}`, 10+i)
			if _, answer, err := c.post(t.Context(), "VolumeDriver.Create", body); err == nil {
				answered <- problem(answer)
			}
		})
	}
	taken := map[string][]time.Duration{}
	for turn := range besideTurns {
		for _, call := range []string{"Mount", "List", "Unmount"} {
			began := time.Now()
			_, answer, err := c.call(t, "VolumeDriver."+call, fmt.Sprintf(`{"Name":%q,"ID":"%064d"}`, name, turn))
			taken[call] = append(taken[call], time.Since(began))
			assert.NilError(t, err)
			assert.Equal(t, problem(answer), "", call)
		}
	}
	assert.Equal(t, len(answered), 0, "the servers did not hang")
	waiting.Wait()
	took := time.Since(asked)
	assert.Check(t, took < silenceLimit, "%s", took)
	assert.Equal(t, len(answered), hanging)
	close(answered)
	for text := range answered {
		assert.Check(t, strings.Contains(text, "accepted the connection and then said nothing: its SMB service hangs"), text)
	}
	for call, times := range taken {
		slices.Sort(times)
		usual := times[len(times)*19/20]
		t.Logf("measured: %-8s median %s, 19 of 20 within %s, longest %s", call, times[len(times)/2], usual, times[len(times)-1])
		assert.Check(t, usual < besideLimit, "%s", call)
	}
}
