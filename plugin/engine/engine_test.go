package engine

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
)

// fakeEngine answers a few paths of the Engine API on a unix socket and records what was started.
type fakeEngine struct {
	mu      sync.Mutex
	started []string
	answers map[string]string
}

func (f *fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Api-Version", "1.41")
	w.Header().Set("Content-Type", "application/json")
	path := strings.TrimPrefix(r.URL.Path, "/v1.41")
	if id, ok := strings.CutSuffix(strings.TrimPrefix(path, "/containers/"), "/start"); ok {
		f.mu.Lock()
		defer f.mu.Unlock()
		if id == "broken" {
			refuse(w, http.StatusInternalServerError, "no such image")
			return
		}
		f.started = append(f.started, id)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if path == "/containers/broken/stop" {
		refuse(w, http.StatusInternalServerError, "it does not end")
		return
	}
	answer, ok := f.answers[path]
	if !ok && path != "/_ping" {
		refuse(w, http.StatusNotFound, "not here")
		return
	}
	_, _ = w.Write([]byte(answer))
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"message":%q}`, text)
}

func (f *fakeEngine) serve(t *testing.T) *Engine {
	t.Helper()
	t.Chdir(t.TempDir()) // its own path is too long for a socket's
	listening, err := net.Listen("unix", "e.sock")
	assert.NilError(t, err)
	server := &http.Server{Handler: f}
	go func() { _ = server.Serve(listening) }()
	t.Cleanup(func() { _ = server.Close() })
	e, err := New(func(path string) string { return strings.TrimPrefix(path, "/host/") }, "/host/e.sock")
	assert.NilError(t, err)
	t.Cleanup(func() { assert.NilError(t, e.Close()) })
	return e
}

func TestSwarm(t *testing.T) {
	for state, want := range map[string]bool{"active": true, "locked": true, "pending": true, "inactive": false, "error": false, "": false} {
		f := &fakeEngine{answers: map[string]string{"/info": fmt.Sprintf(`{"Swarm":{"LocalNodeState":%q}}`, state)}}
		got, err := f.serve(t).Swarm(t.Context())
		assert.NilError(t, err)
		assert.Equal(t, got, want, state)
	}
}

func inspected(name, policy, failure string, running bool) string {
	return fmt.Sprintf(`{"Name":"/%s","State":{"Running":%t,"Error":%q},"HostConfig":{"RestartPolicy":{"Name":%q}}}`, name, running, failure, policy)
}

// Only containers that want to be up, are down, and failed with the text are started; one that cannot start hides no other.
func TestStartFailed(t *testing.T) {
	const ours, other = `error while mounting volume '': volume "v": the pool is away`, "port is already allocated"
	f := &fakeEngine{answers: map[string]string{
		"/containers/json":           `[{"Id":"a"},{"Id":"b"},{"Id":"c"},{"Id":"d"},{"Id":"e"},{"Id":"f"},{"Id":"broken"},{"Id":"gone"},{"Id":"odd"},{"Id":"g"}]`,
		"/containers/a/json":         inspected("always", "always", ours, false),
		"/containers/b/json":         inspected("never", "no", ours, false),
		"/containers/c/json":         inspected("task", "", ours, false),
		"/containers/d/json":         inspected("other", "always", other, false),
		"/containers/e/json":         inspected("stopped", "always", "", false),
		"/containers/f/json":         inspected("up", "always", ours, true),
		"/containers/broken/json":    inspected("broken", "always", ours, false),
		"/containers/odd/json":       `{}`,
		"/containers/g/json":         inspected("unless", "unless-stopped", ours, false),
		"/containers/unrelated/json": inspected("x", "always", ours, false),
	}}
	e := f.serve(t)
	names, err := e.StartFailed(t.Context(), func(text string) bool { return strings.Contains(text, `volume "v": `) })
	assert.DeepEqual(t, names, []string{"always", "unless"})
	assert.DeepEqual(t, f.started, []string{"a", "g"})
	assert.ErrorContains(t, err, "starting the container broken: Error response from daemon: no such image")
	assert.ErrorContains(t, err, "asking the Docker engine for the container gone")
}

func TestPlugins(t *testing.T) {
	f := &fakeEngine{answers: map[string]string{
		"/plugins": `[{"Id":"1","Name":"homelab-storage:latest","Config":{"Interface":{"Socket":"homelab-storage.sock"}}},{"Id":"2","Name":"x","Config":{"Interface":{"Socket":"x.sock"}}}]`,
	}}
	got, err := f.serve(t).Plugins(t.Context(), "homelab-storage.sock")
	assert.NilError(t, err)
	assert.DeepEqual(t, got, []Plugin{{ID: "1", Name: "homelab-storage:latest"}})
}

func TestEngineThatIsAway(t *testing.T) {
	e, err := New(OnThisHost, "/nowhere/docker.sock")
	assert.NilError(t, err)
	_, err = e.Swarm(t.Context())
	assert.ErrorContains(t, err, "asking the Docker engine whether this node is in a Swarm")
	_, err = e.StartFailed(t.Context(), func(string) bool { return true })
	assert.ErrorContains(t, err, "asking the Docker engine for its containers")
	_, err = e.Plugins(t.Context(), "x")
	assert.ErrorContains(t, err, "asking the Docker engine for its plugins")
	assert.Assert(t, !e.Ended(driver.Engine{}))
}

func TestSocket(t *testing.T) {
	say := func(host string) string { return Socket(func(string) string { return host }) }
	assert.Equal(t, say(""), "/var/run/docker.sock")
	assert.Equal(t, say("unix:///run/other.sock"), "/run/other.sock")
	assert.Equal(t, say("tcp://1.2.3.4:2376"), "/var/run/docker.sock")
}
