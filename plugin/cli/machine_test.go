package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/plugin/host"
)

// dockerd answers for the engine: one plugin, and containers.
type dockerd struct {
	plugins, containers string
	data                string            // the engine's folder
	inspected           map[string]string // containers by ID, plugins by their path
	fails               map[string]string // by path
	told                []string
	asked, telling      func() // when it was asked for its plugins, and before it does anything
}

func (d *dockerd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Api-Version", "1.41")
	w.Header().Set("Content-Type", "application/json")
	path := strings.TrimPrefix(r.URL.Path, "/v1.41")
	if r.Method == http.MethodPost || r.Method == http.MethodDelete {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 100)) // an archive is longer
		if !strings.HasSuffix(path, "/set") {
			body = nil
		}
		d.told = append(d.told, strings.TrimSpace(r.Method+" "+path+" "+string(body)))
		if d.telling != nil {
			d.telling()
		}
	}
	if text, found := d.inspected[strings.TrimSuffix(strings.TrimPrefix(path, "/containers/"), "/json")]; found {
		_, _ = w.Write([]byte(text))
	}
	if text, found := d.fails[path]; found {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = fmt.Fprintf(w, `{"message":%q}`, text)
		return
	}
	switch path {
	case "/plugins":
		_, _ = w.Write([]byte(d.plugins))
		if d.asked != nil {
			d.asked()
		}
	case "/containers/json":
		_, _ = w.Write([]byte(d.containers))
	case "/info":
		_, _ = fmt.Fprintf(w, `{"DockerRootDir":%q}`, d.data)
	}
}

const (
	enabledPlugin = `[{"Id":"1","Name":"homelab-storage:latest","Enabled":true,"Config":{"Interface":{"Socket":"homelab-storage.sock"}}}]`
	usedVolume    = `[{"Id":"a","Names":["/radarr"],"Image":"radarr","State":%q,"Mounts":[{"Type":"volume","Name":"radarr","Driver":"homelab-storage:latest"}]}]`
)

// node is a host in a folder with an engine and a plugin behind p.sock; on gives a command's exit code and words.
type node struct {
	dockerd
	root     string
	operator *operator
	systemd  string // what it says of every unit
}

func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{root: t.TempDir(), systemd: "on\n", operator: &operator{}, dockerd: dockerd{plugins: enabledPlugin, containers: "[]", data: t.TempDir()}}
	serve(t, n.operator)
	listening, err := net.Listen("unix", "docker.sock")
	assert.NilError(t, err)
	server := &http.Server{Handler: &n.dockerd}
	go func() { _ = server.Serve(listening) }()
	t.Cleanup(func() { _ = server.Close() })
	t.Setenv("DOCKER_HOST", "unix://docker.sock")
	for _, file := range []string{"run/systemd/system/x", "run/homelab-storage/references/x", "var/lib/homelab-storage/mirror/x", "etc/homelab-storage/config.yaml", CLIPluginFile} {
		file = filepath.Join(n.root, file)
		assert.NilError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		assert.NilError(t, os.WriteFile(file, nil, 0o600))
	}
	return n
}

func (n *node) on(t *testing.T, line string) (code int, said string) {
	t.Helper()
	var out bytes.Buffer
	code = Run(t.Context(), append([]string{"docker-homelab", "homelab", "--socket", "p.sock"}, strings.Fields(line)...), Options{
		Version: "1.0", Out: &out, Err: &out, Host: n.host(),
	})
	return code, out.String()
}

func (n *node) host() *host.Host {
	return &host.Host{Root: n.root, Program: CLIPluginFile, Run: func(context.Context, string, ...string) (string, int, error) {
		return n.systemd, 0, nil
	}}
}

func (n *node) has(name string) bool {
	_, err := os.Lstat(filepath.Join(n.root, name))
	return err == nil
}

func TestUninstall(t *testing.T) {
	n := newNode(t)
	n.containers = fmt.Sprintf(usedVolume, "running")
	code, said := n.on(t, "uninstall")
	assert.Equal(t, code, 1)
	assert.Equal(t, said, "homelab-storage: containers use volumes of the plugin; stop them first:\n  radarr (image radarr) has radarr\n")
	assert.Equal(t, len(n.told), 0)

	_, said = n.on(t, "host install")
	assert.Equal(t, said, "Installed. The engine waits for the pools for 5m0s at most; shutdown unmounts them in order; a plugin that the engine gave up is enabled again.\n")
	n.containers = fmt.Sprintf(usedVolume, "exited")
	code, said = n.on(t, "uninstall")
	assert.Equal(t, said, "Unmounted all.\nRemoved the plugin homelab-storage:latest.\nRemoved the units.\n"+
		"Removed what the plugin had on this node. The volumes' data is where it was.\n"+
		"These containers have volumes of the plugin, and do not start without it:\n  radarr (image radarr) has radarr\n")
	assert.Equal(t, code, 0)
	assert.DeepEqual(t, n.told, []string{"POST /plugins/homelab-storage:latest/disable", "DELETE /plugins/homelab-storage:latest"})
	assert.Assert(t, !n.has("run/homelab-storage") && !n.has(CLIPluginFile) && !n.has("etc/systemd/system/homelab-storage-pools.service"))
	assert.Assert(t, n.has("var/lib/homelab-storage/mirror/x") && n.has("etc/homelab-storage/config.yaml"))
	_, said = n.on(t, "uninstall --purge")
	assert.Assert(t, strings.Contains(said, "Removed what the plugin had"), said)
	assert.Assert(t, !n.has("var/lib/homelab-storage") && !n.has("etc/homelab-storage"))
}

func TestUninstallOfADisabledPlugin(t *testing.T) {
	n := newNode(t)
	n.plugins = strings.Replace(enabledPlugin, "true", "false", 1)
	note := filepath.Join(n.root, "run/homelab-storage/pools/media-apps.json")
	assert.NilError(t, os.MkdirAll(filepath.Dir(note), 0o755))
	assert.NilError(t, os.WriteFile(note, []byte(`{"mounted":true}`), 0o600))
	_, said := n.on(t, "uninstall")
	assert.Equal(t, said, "homelab-storage: the plugin is disabled, and only it can take away the pools that it mounted (media-apps): docker plugin enable homelab-storage:latest\nThe plugin is still installed\n")
	assert.NilError(t, os.WriteFile(note, []byte(`{}`), 0o600)) // an uninstallation that was interrupted
	folder := filepath.Join(n.data, "plugins/1/propagated-mount/radarr")
	assert.NilError(t, os.MkdirAll(filepath.Join(folder, "written"), 0o755))
	_, said = n.on(t, "uninstall")
	assert.Assert(t, strings.HasPrefix(said, "homelab-storage: the folder "+folder+" under the mount, on this node's root disk, is not empty: "), said)
	assert.Equal(t, len(n.told), 0)
	assert.NilError(t, os.RemoveAll(filepath.Join(folder, "written")))
	code, said := n.on(t, "uninstall")
	assert.Equal(t, code, 0, said)
	assert.DeepEqual(t, n.told, []string{"DELETE /plugins/homelab-storage:latest"})
}

func TestWhichPlugin(t *testing.T) {
	n := newNode(t)
	n.plugins = "[]"
	_, said := n.on(t, "upgrade nas:5000/x:2")
	assert.Assert(t, strings.Contains(said, "the engine has no managed plugin of homelab-storage"), said)
	n.plugins = strings.TrimSuffix(enabledPlugin, "]") + "," + strings.TrimPrefix(enabledPlugin, "[")
	_, said = n.on(t, "uninstall")
	assert.Assert(t, strings.Contains(said, "the engine has 2 plugins of homelab-storage, 2 of them enabled"), said)
}

func TestHost(t *testing.T) {
	n := newNode(t)
	_, said := n.on(t, "host remove")
	assert.Equal(t, said, "The units are not installed.\n")
	_, said = n.on(t, "host install --wait 30s")
	assert.Assert(t, strings.Contains(said, "for 30s at most"), said)
	_, said = n.on(t, "host status")
	assert.DeepEqual(t, strings.Fields(said), []string{
		"UNIT", "FILE", "ENABLED", "ACTIVE", "homelab-storage-pools.service", "installed", "on", "on",
		"homelab-storage-revive.timer", "installed", "on", "on",
	})
	_, said = n.on(t, "host remove")
	assert.Equal(t, said, "Removed. Nothing looks after the pools at boot and shutdown any more, and nothing after a plugin that the engine gave up.\n")
	state := t.TempDir()
	_, said = n.on(t, "host wait --state-dir "+state)
	assert.Equal(t, said, "No pool is configured yet.\n")
	file := filepath.Join(state, "config.last-good.json")
	assert.NilError(t, os.WriteFile(file, []byte(`{"settings":{"Pools":[{"Name":"p","Device":"LABEL=p"}]}}`), 0o600))
	code, said := n.on(t, "host wait --timeout 10ms --state-dir "+state)
	assert.Equal(t, code, 1)
	assert.Equal(t, said, "Waiting: the disk LABEL=p of pool p is not on this node\nhomelab-storage: not waited for any longer: the disk LABEL=p of pool p is not on this node; its containers start when it is there\n")
	assert.NilError(t, os.WriteFile(file, []byte(`{`), 0o600))
	_, said = n.on(t, "host wait --state-dir "+state)
	assert.Assert(t, strings.Contains(said, "is not understood"), said)
}
