package protocol

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/homelab-storage/homelab-storage/driver"
)

// slow is a service whose Mount succeeds only after its client hung up.
type slow struct {
	fake
	mounting, hungUp chan struct{}
	unmounted        chan string
}

func (s *slow) Mount(context.Context, string, string, driver.Engine) (string, error) {
	close(s.mounting)
	<-s.hungUp
	return "/mnt/volumes/db", nil
}

func (s *slow) Unmount(_ context.Context, name, id string) error {
	s.unmounted <- name + " " + id
	return nil
}

// The engine gives a Mount up after its client's timeout, and never unmounts what it gave up.
func TestMountThatNobodyWaitsForIsUndone(t *testing.T) {
	service := &slow{mounting: make(chan struct{}), hungUp: make(chan struct{}), unmounted: make(chan string, 1)}
	plugin := start(t, service)
	// The server notices a hang-up a moment after the client made it, and tells nobody but the request.
	plugin.handler.HandleFunc("/Noticed.Mount", func(w http.ResponseWriter, r *http.Request) {
		context.AfterFunc(r.Context(), func() { close(service.hungUp) })
		serve(plugin.Server, mountCall(), w, r)
	})
	ctx, hangUp := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://plugin/Noticed.Mount", strings.NewReader(`{"Name":"db","ID":"a"}`))
		if err == nil {
			_, err = plugin.client.Do(request) //nolint:bodyclose // it never gets one
		}
		done <- err
	}()
	<-service.mounting
	hangUp()
	assert.ErrorIs(t, <-done, context.Canceled)
	select {
	case got := <-service.unmounted:
		assert.Equal(t, got, "db a")
	case <-time.After(20 * time.Second):
		t.Fatal("the mount was not undone")
	}
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if strings.Contains(plugin.log.String(), "the client hung up before the call was done; it was undone") {
			return poll.Success()
		}
		return poll.Continue("log: %s", plugin.log.String())
	})
}
