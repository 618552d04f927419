package engine

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// manager is an engine's plugin manager: it has one plugin, and records what it is asked.
type manager struct {
	root    string // of the engine
	id      string // "" when it is removed
	version string
	enabled bool
	calls   []string
	fails   map[string]string // call -> text; a call counts down with "call#n"
	stream  string            // what a download reports
	before  func(call string)
}

func (m *manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Api-Version", "1.41")
	w.Header().Set("Content-Type", "application/json")
	path := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/v1.41"), "/plugins/homelab-storage:latest")
	call := r.Method + " " + strings.TrimPrefix(path, "/")
	body, _ := io.ReadAll(r.Body)
	if m.before != nil {
		m.before(call)
	}
	if r.Method == http.MethodPost || r.Method == http.MethodDelete {
		m.calls = append(m.calls, strings.TrimSpace(call+" "+m.detail(call, body)))
	}
	keys := []string{call, fmt.Sprintf("%s#%d", call, m.count(call))}
	if m.count("POST disable") > 0 {
		keys = append(keys, call+"#after")
	}
	for _, key := range keys {
		if text, ok := m.fails[key]; ok {
			refuse(w, http.StatusInternalServerError, text)
			return
		}
	}
	m.answer(w, call)
}

func (m *manager) count(call string) int {
	count := 0
	for _, one := range m.calls {
		if one == call || strings.HasPrefix(one, call+" ") {
			count++
		}
	}
	return count
}

// detail is what a call brings: the settings, or the files of an archive.
func (m *manager) detail(call string, body []byte) string {
	if call != "POST plugins/create" {
		return strings.TrimSpace(strings.Trim(string(body), "\n"))
	}
	var names []string
	for reader := tar.NewReader(strings.NewReader(string(body))); ; {
		header, err := reader.Next()
		if err != nil {
			return strings.Join(names, " ")
		}
		names = append(names, header.Name)
		if header.Name == "rootfs/homelab-storage" {
			program, _ := io.ReadAll(reader)
			m.version = string(program)
		}
	}
}

func (m *manager) answer(w http.ResponseWriter, call string) {
	switch call {
	case "GET json":
		if m.id == "" {
			refuse(w, http.StatusNotFound, "no such plugin")
			return
		}
		_, _ = fmt.Fprintf(w, `{"Id":%q,"Name":"homelab-storage:latest","Enabled":%t,"Config":{"Interface":{"Socket":"homelab-storage.sock"},
			"Env":[{"Name":"POOL_NAME","Value":""},{"Name":"LOG_LEVEL","Value":"info"}]},"Settings":{"Env":["POOL_NAME=media-apps","LOG_LEVEL=info"],
			"Mounts":[{"Name":"data","Source":"/srv","Settable":["source"]},{"Name":"fixed","Source":"/x"}],
			"Devices":[{"Name":"disk","Path":"/dev/sdx","Settable":["path"]}]}}`, m.id, m.enabled)
	case "GET info":
		_, _ = fmt.Fprintf(w, `{"DockerRootDir":%q}`, m.root)
	case "GET plugins/privileges":
		_, _ = w.Write([]byte(`[{"Name":"network","Value":["host"]}]`))
	case "POST upgrade":
		_, _ = w.Write([]byte(m.stream))
		if !strings.Contains(m.stream, "error") {
			m.version = "new"
		}
	case "DELETE ":
		_ = os.RemoveAll(filepath.Join(m.root, "plugins", m.id))
		m.id = ""
	case "POST plugins/create":
		m.id = "id2"
	case "POST enable":
		m.enabled = true
	case "POST disable":
		m.enabled = false
	}
}

// manage serves a manager whose engine has the plugin's files in its folder.
func manage(t *testing.T, m *manager) *Engine {
	t.Helper()
	t.Chdir(t.TempDir())
	m.root, m.id, m.version, m.enabled = t.TempDir(), "id1", "old", true
	plugin(t, filepath.Join(m.root, "plugins", "id1"), "old")
	listening, err := net.Listen("unix", "e.sock")
	assert.NilError(t, err)
	server := &http.Server{Handler: m}
	go func() { _ = server.Serve(listening) }()
	t.Cleanup(func() { _ = server.Close() })
	e, err := New(OnThisHost, "e.sock")
	assert.NilError(t, err)
	t.Cleanup(func() { assert.NilError(t, e.Close()) })
	return e
}

// plugin makes a plugin's folder; the program says its version.
func plugin(t *testing.T, folder, version string) {
	t.Helper()
	assert.NilError(t, os.MkdirAll(filepath.Join(folder, "rootfs"), 0o755))
	assert.NilError(t, os.WriteFile(filepath.Join(folder, "rootfs", "homelab-storage"), []byte(version), 0o755))
	assert.NilError(t, os.Symlink("homelab-storage", filepath.Join(folder, "rootfs", "link")))
	assert.NilError(t, os.WriteFile(filepath.Join(folder, "config.json"), []byte("{}"), 0o644))
}

const (
	name = "homelab-storage:latest"
	// recorded is when an upgrade tells that it is about to disable the plugin.
	recorded = "recorded"
	image    = "nas:5000/homelab-storage:2"
)

var (
	disable = []string{recorded, "POST disable"}
	sets    = []string{`POST set ["POOL_NAME=media-apps"]`, `POST set ["data.source=/srv"]`, `POST set ["disk.path=/dev/sdx"]`}
	replace = []string{"DELETE", "POST plugins/create config.json rootfs/ rootfs/homelab-storage"}
)

func calls(parts ...any) []string {
	var all []string
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			all = append(all, part)
		case []string:
			all = append(all, part...)
		}
	}
	return all
}

const pull = `POST upgrade [{"Name":"network","Description":"","Value":["host"]}]`

// Whatever step fails, a version runs at the end, unless there is no way; and what was done is as few as can be.
func TestUpgrade(t *testing.T) {
	for title, row := range map[string]struct {
		fails   map[string]string
		stream  string
		folder  bool
		want    []string
		version string
		problem string
		stopped bool
	}{
		"from a registry": {want: calls(disable, pull, sets, "POST enable"), version: "new"},
		"from a folder":   {folder: true, want: calls(disable, replace, sets, "POST enable"), version: "new"},
		"no such image": {
			fails: map[string]string{"GET plugins/privileges": "manifest unknown"}, version: "old",
			problem: "nothing was changed: Error response from daemon: manifest unknown",
		},
		"not disabled": {
			fails: map[string]string{"POST disable": "busy"}, want: calls(disable), version: "old",
			problem: "nothing was changed: disabling homelab-storage:latest: Error response from daemon: busy",
		},
		"download fails": {
			stream: "{\"status\":\"x\"}\n{\"error\":\"layer is gone\"}\n", want: calls(disable, pull, sets, "POST enable"), version: "old",
			problem: "the upgrade failed, and the old version of homelab-storage:latest is enabled again: layer is gone",
		},
		"report not understood": {
			stream: "error", want: calls(disable, pull, sets, "POST enable"), version: "old",
			problem: "is enabled again: the Docker engine's report is not understood",
		},
		"new one does not start": {
			fails: map[string]string{"POST enable#1": "dial failed"}, version: "old",
			want:    calls(disable, pull, sets, "POST enable", disable, replace, sets, "POST enable"),
			problem: "the upgrade failed, and the old version of homelab-storage:latest was put back: enabling homelab-storage:latest: Error response from daemon: dial failed",
		},
		"no folder's plugin": {
			folder: true, fails: map[string]string{"POST plugins/create#1": "bad config"}, version: "old",
			want:    calls(disable, replace, disable, replace, sets, "POST enable"),
			problem: "was put back: installing homelab-storage:latest: Error response from daemon: bad config",
		},
		"nothing starts": {
			fails: map[string]string{"POST enable": "dial failed"}, version: "old", stopped: true,
			want:    calls(disable, pull, sets, "POST enable", disable, replace, sets, "POST enable", recorded),
			problem: "the old version could not be put back: no version of the plugin runs, and no volume of homelab-storage:latest can be mounted on this node until one does (docker plugin enable homelab-storage:latest)",
		},
		"not disabled, or not for certain": {
			fails: map[string]string{"POST disable": "no space left", "GET json#after": "gone"}, want: calls(disable, sets, "POST enable"), version: "old",
			problem: "the upgrade failed, and the old version of homelab-storage:latest is enabled again: disabling homelab-storage:latest: Error response from daemon: no space left",
		},
		"no way back": {
			folder: true, fails: map[string]string{"POST plugins/create": "no space left"}, version: "old", stopped: true,
			want:    calls(disable, replace, disable, replace, recorded),
			problem: "until one does (docker plugin ls, and install one with the name and the settings that it had)",
		},
		"a setting that is gone": {
			fails: map[string]string{"POST set#2": "no such mount"}, want: calls(disable, pull, sets, "POST enable"), version: "new",
		},
	} {
		t.Run(title, func(t *testing.T) {
			m := &manager{fails: row.fails, stream: row.stream}
			e := manage(t, m)
			from := image
			if row.folder {
				from = filepath.Join(t.TempDir(), "plugin")
				plugin(t, from, "new")
			}
			had, err := e.Settings(t.Context(), name)
			assert.NilError(t, err)
			var said []string
			err = e.Upgrade(t.Context(), name, from, UpgradeOptions{
				Settings:  had,
				Disabling: func() { m.calls = append(m.calls, recorded) },
				Say:       func(format string, arguments ...any) { said = append(said, fmt.Sprintf(format, arguments...)) },
			})
			if row.problem == "" {
				assert.NilError(t, err)
			} else {
				assert.ErrorContains(t, err, row.problem)
			}
			assert.DeepEqual(t, m.calls, row.want)
			assert.Equal(t, m.version, row.version)
			assert.Equal(t, m.enabled, !row.stopped)
			assert.Equal(t, errors.Is(err, ErrDown), row.stopped)
			if title == "a setting that is gone" {
				assert.Equal(t, said[1], "The setting data.source is not taken over: Error response from daemon: no such mount")
			}
		})
	}
}

// While nothing was disabled, an upgrade can be ended: a registry may hang.
func TestUpgradeThatIsEndedInTime(t *testing.T) {
	m := &manager{}
	e := manage(t, m)
	ctx, cancel := context.WithCancel(t.Context())
	m.before = func(call string) {
		if call == "GET plugins/privileges" {
			cancel()
		}
	}
	err := e.Upgrade(ctx, name, image, UpgradeOptions{})
	assert.ErrorIs(t, err, context.Canceled)
	assert.ErrorContains(t, err, "nothing was changed")
	assert.Equal(t, len(m.calls), 0)
}

// Without a way back nothing is begun.
func TestUpgradeNeedsAWayBack(t *testing.T) {
	m := &manager{}
	e := manage(t, m)
	assert.NilError(t, os.RemoveAll(filepath.Join(m.root, "plugins")))
	err := e.Upgrade(t.Context(), name, image, UpgradeOptions{})
	assert.ErrorContains(t, err, "cannot be kept as the way back; upgrade as root, on the node itself")
	err = e.Upgrade(t.Context(), "other", image, UpgradeOptions{})
	assert.Assert(t, err != nil)
	assert.Equal(t, len(m.calls), 0)
	_, err = archiveOfFolder(t.TempDir())
	assert.Assert(t, errors.Is(err, os.ErrNotExist))
}

func TestRemovePlugin(t *testing.T) {
	m := &manager{}
	e := manage(t, m)
	assert.NilError(t, e.RemovePlugin(t.Context(), Plugin{Name: name, Enabled: true}))
	assert.NilError(t, e.RemovePlugin(t.Context(), Plugin{Name: name}))
	assert.DeepEqual(t, m.calls, []string{"POST disable", "DELETE", "DELETE"})
	m.fails = map[string]string{"POST disable": "no", "DELETE ": "never"}
	assert.ErrorContains(t, e.RemovePlugin(t.Context(), Plugin{Name: name, Enabled: true}), "disabling homelab-storage:latest: Error response from daemon: no")
	assert.ErrorContains(t, e.RemovePlugin(t.Context(), Plugin{Name: name}), "removing homelab-storage:latest: Error response from daemon: never")
}
