//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/engine"
)

// caller talks to the plugin as the engine does: HTTP on its socket.
type caller struct {
	client *http.Client
}

func newCaller(t *testing.T, e *engine.Engine) caller {
	t.Helper()
	id, err := e.PluginID(t.Context(), driver)
	assert.NilError(t, err)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return e.DialPlugin(ctx, id, "homelab-storage.sock")
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	return caller{client: client}
}

func (c caller) call(t *testing.T, call, body string) (status int, answer map[string]any, err error) {
	t.Helper()
	return c.post(t.Context(), call, body)
}

func (c caller) post(ctx context.Context, call, body string) (status int, answer map[string]any, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://plugin/"+call, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode, answer, json.NewDecoder(response.Body).Decode(&answer)
}

// When a connection breaks, the engine posts again with the body lost, and takes an error answer to such a Get for "no such
// volume" (FACTS 1). A broken connection is what it survives.
func TestACallWithoutABodyGetsNoAnswer(t *testing.T) {
	e := plugged(t)
	c := newCaller(t, e)
	name := volume(t, e, "")
	for _, call := range []string{"Get", "Create", "Remove", "Mount", "Unmount", "Path"} {
		t.Run(call, func(t *testing.T) {
			_, answer, err := c.call(t, "VolumeDriver."+call, "")
			assert.Assert(t, errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || isReset(err), "%v, answer %v", err, answer)
		})
	}
	_, answer, err := c.call(t, "VolumeDriver.Get", `{"Name":"`+name+`"}`)
	assert.NilError(t, err)
	assert.Equal(t, problem(answer), "")
}

// problem is the error of an answer, or "".
func problem(answer map[string]any) string {
	text, _ := answer["Err"].(string)
	return text
}

func isReset(err error) bool {
	return err != nil && strings.Contains(err.Error(), "connection reset by peer")
}

func TestActivateAndCapabilities(t *testing.T) {
	c := newCaller(t, plugged(t))
	status, answer, err := c.call(t, "Plugin.Activate", "")
	assert.NilError(t, err)
	assert.Equal(t, status, http.StatusOK)
	assert.DeepEqual(t, answer["Implements"], []any{"VolumeDriver"})
	_, answer, err = c.call(t, "VolumeDriver.Capabilities", "")
	assert.NilError(t, err)
	assert.DeepEqual(t, answer["Capabilities"], map[string]any{"Scope": "global"})
}

// The engine asks every plugin for the name of every new local volume: that has to be a quick and clean "no" (FACTS 1).
func TestGetOfAnUnknownVolumeIsAnError(t *testing.T) {
	c := newCaller(t, plugged(t))
	_, answer, err := c.call(t, "VolumeDriver.Get", `{"Name":"never-made"}`)
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(problem(answer), "no such volume"), "%v", answer)
}

// A repeated ID is the same user (live-restore, restart=always: the old ID comes again); an unknown one is none (restart of
// the plugin): neither is an error.
func TestReferencesAreCountedByID(t *testing.T) {
	e := plugged(t)
	c := newCaller(t, e)
	name := volume(t, e, "")
	step := func(call, id string, mounted int) {
		t.Helper()
		_, answer, err := c.call(t, "VolumeDriver."+call, `{"Name":"`+name+`","ID":"`+strings.Repeat(id, 64)+`"}`)
		assert.NilError(t, err)
		assert.Equal(t, problem(answer), "", "%s %s", call, id)
		assert.Equal(t, len(mountpoints(t, e, name)), mounted, "after %s %s", call, id)
	}
	step("Unmount", "0", 0)
	step("Mount", "a", 1)
	step("Mount", "a", 1)
	step("Mount", "b", 1)
	step("Unmount", "0", 1)
	step("Unmount", "a", 1)
	step("Unmount", "a", 1)
	step("Unmount", "b", 0)
	step("Mount", "a", 1)
	step("Unmount", "a", 0)
}

func TestAnAnswerThatIsAnErrorIsOne(t *testing.T) {
	c := newCaller(t, plugged(t))
	// With another status the engine would put the call's name before the text (FACTS 1).
	status, answer, err := c.call(t, "VolumeDriver.Create", `{"Name":"a/b","Opts":{"class":"db"}}`)
	assert.NilError(t, err)
	assert.Equal(t, status, http.StatusOK)
	assert.Assert(t, strings.Contains(problem(answer), "2 to 128"), "%v", answer)
	status, answer, err = c.call(t, "VolumeDriver.Create", `{"Name":`)
	assert.Assert(t, err != nil || status >= http.StatusBadRequest || problem(answer) != "", "status %d: %v", status, answer)
}
