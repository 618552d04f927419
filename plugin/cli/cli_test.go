package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/holder"
	"github.com/homelab-storage/homelab-storage/plugin/engine"
	"github.com/homelab-storage/homelab-storage/plugin/protocol"
)

// run executes a command line and gives its exit code and what it wrote.
func run(t *testing.T, input string, arguments ...string) (code int, out, problem string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = Run(t.Context(), arguments, Options{
		Version: "1.0", In: strings.NewReader(input), Out: &stdout, Err: &stderr,
		Serve: func(_ context.Context, options ServeOptions) error { return fmt.Errorf("%+v", options) },
	})
	return code, stdout.String(), stderr.String()
}

// operator answers with fixed facts.
type operator struct {
	protocol.Volumes
	empty bool
	got   string
	asked int
}

var when = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func (o *operator) Health(context.Context) driver.Health {
	if o.empty {
		return driver.Health{Version: "1.0", Node: "node-1", Started: when}
	}
	return driver.Health{
		Version: "1.0", Node: "node-1", Started: when, Volumes: 12, Mounted: 3,
		Problems: []string{"the configuration has changed but is not in force, the last good one still is: 2 problems:\n  a\n  b"},
		Pools: []map[string]any{
			{"pool": "media-apps", "path": "/mnt/iscsi/media-apps", "healthy": true, "checked": "2026-01-02T03:04:05Z", "size_bytes": 1 << 40, "available_bytes": 1 << 30, "uuid": "0B0C", "warning": "little is left"},
			{"pool": "app-data", "path": "/mnt/iscsi/app-data", "healthy": false, "checked": "2026-01-02T03:04:05Z", "problem": "not mounted"},
			{"pool": "new", "path": "/mnt/new"},
		},
		Shares: []map[string]any{{"share": "//nas/usenet", "checked": "2026-01-02T03:04:05Z"}, {"share": "//nas/torrents", "checked": "2026-01-02T03:04:05Z", "since": "2026-01-02T03:00:00Z", "next_check": "2026-01-02T03:04:35Z", "problem": "wrong password"}},
	}
}

func (o *operator) TrashList(_ context.Context, pool string) ([]driver.TrashEntry, error) {
	if o.empty {
		return nil, nil
	}
	o.got = pool
	return []driver.TrashEntry{{ID: "20260102T030405Z-radarr", Pool: "media-apps", Volume: "radarr", Subdir: "radarr", Removed: when, Expires: when.Add(720 * time.Hour)}},
		errors.New("pool app-data is not mounted: its trash is not listed")
}

func (o *operator) TrashRestore(_ context.Context, id, name string) error {
	o.got = id + "," + name
	if id == "wrong" {
		return errors.New("there is no trash entry \"wrong\"")
	}
	return nil
}

func (o *operator) TrashEmpty(_ context.Context, pool, id string, olderThan time.Duration) (int, error) {
	o.got = fmt.Sprintf("%s,%s,%s", pool, id, olderThan)
	return 2, nil
}

func (o *operator) Holders(context.Context, string) ([]driver.HolderRecord, error) {
	if o.empty {
		return nil, nil
	}
	held := func(subdir string, mode holder.Mode, nodes ...string) driver.HolderRecord {
		record := driver.HolderRecord{Pool: "media-apps", Record: holder.Record{Subdir: subdir, Mode: mode}}
		for i, node := range nodes {
			record.Holders = append(record.Holders, holder.Holder{Node: i, Name: node, Since: when, Uses: make([]holder.Use, i+1)})
		}
		return record
	}
	return []driver.HolderRecord{held("radarr", holder.Exclusive, "node-1"), held("shared", holder.Shared, "node-1", "node-2"), held("free", holder.Shared)}, nil
}

func (o *operator) HolderOf(ctx context.Context, volume string) (driver.HolderRecord, error) {
	if o.empty {
		return driver.HolderRecord{}, fmt.Errorf("volume %q: no such volume", volume)
	}
	all, err := o.Holders(ctx, "")
	for _, record := range all {
		if record.Subdir == volume {
			return record, err
		}
	}
	return driver.HolderRecord{Pool: "media-apps"}, err
}

func (o *operator) HolderBreak(_ context.Context, volume, node string, force bool) (driver.HolderBroken, error) {
	o.got = fmt.Sprintf("%s,%s,%t", volume, node, force)
	switch {
	case node == "node-3":
		return driver.HolderBroken{GivenBack: true}, nil
	case node == "dead":
		return driver.HolderBroken{}, nil
	case !force:
		return driver.HolderBroken{}, errors.New("node node-2 is alive")
	case o.empty:
		return driver.HolderBroken{Unheard: "the plugin of that node does not answer (waited 7s)"}, nil
	}
	return driver.HolderBroken{Use: "the volume radarr is used by the containers to stop there: radarr, backup"}, nil
}

func (o *operator) CatalogAdopt(context.Context) (driver.Repair, error) {
	if o.empty {
		return driver.Repair{}, nil
	}
	return driver.Repair{Lost: []string{"a", "b"}, Credentials: []string{"nas"}}, nil
}

func (o *operator) CatalogRestore(context.Context) (driver.Repair, error) {
	if o.empty {
		return driver.Repair{Records: 1}, nil
	}
	return driver.Repair{Records: 3, Credentials: []string{"nas", "volume-x"}}, nil
}

// serve puts a plugin behind p.sock in a fresh working directory.
func serve(t *testing.T, service protocol.Service) {
	t.Helper()
	t.Chdir(t.TempDir()) // its own path is too long for a socket's
	log := logrus.New()
	log.SetOutput(io.Discard)
	server := protocol.New(protocol.Options{LeaseWait: func() time.Duration { return 0 }, Log: logrus.NewEntry(log)})
	server.Provide(service)
	listening, err := protocol.Listen(t.Context(), "p.sock")
	assert.NilError(t, err)
	go func() { _ = server.Serve(listening) }()
	t.Cleanup(func() { _ = listening.Close() })
}

func here(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	assert.NilError(t, err)
	return dir
}

// What an operator reads, for every command, with and without content.
func TestOutputs(t *testing.T) {
	home := here(t)
	for _, empty := range []bool{false, true} {
		serve(t, &operator{empty: empty})
		var text strings.Builder
		for _, line := range []string{
			"status", "pool ls", "share ls", "share ls --format json", "trash ls", "trash ls --format json", "holder ls", "holder show media-apps radarr", "holder show radarr", "holder show free",
			"holder show media-apps free --format json", "holder break radarr node-2", "holder break radarr node-2 --force", "holder break radarr node-3 --force", "holder break radarr dead",
			"trash restore wrong", "trash restore x", "trash empty x", "catalog adopt", "catalog restore",
		} {
			code, out, problem := run(t, "", append([]string{"docker-homelab", "homelab", "--socket", "p.sock"}, strings.Fields(line)...)...)
			fmt.Fprintf(&text, "$ docker homelab %s\n%s%s[%d]\n\n", line, out, problem, code)
		}
		t.Chdir(home)
		golden.Assert(t, text.String(), map[bool]string{false: "outputs.golden", true: "empty.golden"}[empty])
	}
}

func TestWhatArrives(t *testing.T) {
	service := &operator{}
	serve(t, service)
	for line, want := range map[string]string{
		"trash ls --pool a":                     "a",
		"trash restore x":                       "x,",
		"trash restore x new":                   "x,new",
		"trash empty x":                         ",x,0s",
		"trash empty --all --pool a":            "a,,0s",
		"trash empty --older-than 7d":           ",,168h0m0s",
		"holder break radarr node-2 --force":    "radarr,node-2,true",
		"holder break radarr node-2 --format=x": "radarr,node-2,false",
	} {
		run(t, "", append([]string{"x", "--socket", "p.sock"}, strings.Fields(line)...)...)
		assert.Equal(t, service.got, want, line)
	}
}

// A command line that is not understood says what to write instead, and does nothing.
func TestWrongCommandLines(t *testing.T) {
	var text strings.Builder
	for _, line := range []string{
		"staus", "frobnicate", "trash", "trash lst", "trash ls x", "trash restore", "trash restore a b c", "trash empty", "trash empty x --all", "trash empty --older-than 7", "trash empty --older-than -168h",
		"holder break radarr", "holder show", "status --frmat json", "version --format xml", "credentials set", "credentials set nas", "credentials rm", "credentials rotate", "credentials test",
		"catalog adopt now", "serve now", "status --socket /nowhere/p.sock",
	} {
		code, out, problem := run(t, "", append([]string{"homelab-storage"}, strings.Fields(line)...)...)
		if code == 0 {
			problem = "(help) " + strings.SplitN(out, "\n", 2)[0] + "\n"
		}
		fmt.Fprintf(&text, "$ homelab-storage %s\n%s[%d]\n\n", line, problem, code)
	}
	golden.Assert(t, text.String(), "wrong.golden")
}

// The help of every command.
func TestHelp(t *testing.T) {
	var text strings.Builder
	var walk func(command *cobra.Command, line []string)
	walk = func(command *cobra.Command, line []string) {
		_, out, _ := run(t, "", append(append([]string{"docker-homelab", "homelab"}, line...), "--help")...)
		fmt.Fprintf(&text, "$ docker homelab %s --help\n%s\n", strings.Join(line, " "), out)
		for _, below := range command.Commands() {
			walk(below, append(append([]string{}, line...), below.Name()))
		}
	}
	walk(newRoot(Options{}, true), nil)
	_, out, _ := run(t, "", "homelab-storage", "serve", "--help")
	golden.Assert(t, text.String()+"$ homelab-storage serve --help\n"+out, "help.golden")
}

func TestServe(t *testing.T) {
	code, _, problem := run(t, "", "homelab-storage", "serve", "--socket", "/s", "--state-dir", "/a", "--run-dir", "/b", "--mount-root", "/c", "--config", "/d")
	assert.Equal(t, code, 1)
	assert.Equal(t, problem, "homelab-storage: {Socket:/s StateDir:/a RunDir:/b MountRoot:/c Config:/d}\n")
	_, _, problem = run(t, "", "homelab-storage", "serve")
	assert.Equal(t, problem, "homelab-storage: {Socket:/run/docker/plugins/homelab-storage.sock StateDir:/var/lib/homelab-storage RunDir:/run/homelab-storage MountRoot:/mnt/volumes Config:}\n")
}

// The Docker CLI runs us in several ways.
func TestAsDockerPlugin(t *testing.T) {
	_, out, _ := run(t, "", "docker-homelab", metadataCommand)
	assert.Equal(t, out, `{"SchemaVersion":"0.1.0","Vendor":"homelab-storage","Version":"1.0","ShortDescription":"Storage of homelab-storage: state, trash, holders, credentials","URL":"https://github.com/homelab-storage/homelab-storage"}`+"\n")
	for _, line := range []string{"docker-homelab homelab version", "docker-homelab --context x homelab version", "homelab-storage homelab version", "homelab-storage version", "docker-homelab version"} {
		code, out, problem := run(t, "", strings.Fields(line)...)
		assert.Equal(t, code, 0, "%s: %s", line, problem)
		assert.Assert(t, strings.HasPrefix(out, "homelab-storage 1.0 (go"), line)
	}
	_, out, _ = run(t, "", "docker-homelab", "__complete", "homelab", "tra")
	assert.Assert(t, strings.HasPrefix(out, "trash\t"), out)
	code, _, problem := run(t, "", "docker-homelab", "homelab", "serve")
	assert.Equal(t, code, 2, "serve is no command of docker homelab")
	assert.Assert(t, strings.Contains(problem, `"serve" is not a command of docker homelab`), problem)
}

func TestOptionsAreTheTable(t *testing.T) {
	_, out, _ := run(t, "", "x", "options")
	golden.Assert(t, out, "options.golden")
	_, out, _ = run(t, "", "x", "options", "--format", "json")
	assert.Assert(t, strings.Contains(out, `"name": "class"`))
}

func TestFind(t *testing.T) {
	ctx := t.Context()
	none := func(context.Context) ([]engine.Plugin, error) { return nil, nil }
	t.Chdir(t.TempDir())
	_, err := find(ctx, ".", none)
	assert.ErrorContains(t, err, "no plugin found")

	touch := func(id string) {
		t.Helper()
		assert.NilError(t, os.MkdirAll(id, 0o700))
		assert.NilError(t, os.WriteFile(filepath.Join(id, socketName), nil, 0o600))
	}
	touch("one")
	got, err := find(ctx, ".", none)
	assert.NilError(t, err)
	assert.Equal(t, got, filepath.Join("one", socketName))

	touch("two")
	got, err = find(ctx, ".", func(context.Context) ([]engine.Plugin, error) { return []engine.Plugin{{ID: "two"}}, nil })
	assert.NilError(t, err)
	assert.Equal(t, got, filepath.Join("two", socketName))
	_, err = find(ctx, ".", func(context.Context) ([]engine.Plugin, error) {
		return []engine.Plugin{{ID: "one", Name: "a"}, {ID: "two", Name: "b"}}, nil
	})
	assert.Error(t, err, "2 plugins enabled; choose one with --socket: one/homelab-storage.sock (a), two/homelab-storage.sock (b)")
	_, err = find(ctx, ".", none)
	assert.Error(t, err, "0 plugins enabled; choose one with --socket: one/homelab-storage.sock, two/homelab-storage.sock")
	_, err = find(ctx, ".", func(context.Context) ([]engine.Plugin, error) { return nil, errors.New("no engine") })
	assert.Error(t, err, "several plugins have a socket; choose one with --socket: one/homelab-storage.sock, two/homelab-storage.sock: no engine")

	listening, err := protocol.Listen(ctx, socketName)
	assert.NilError(t, err)
	defer listening.Close()
	got, err = find(ctx, ".", none)
	assert.NilError(t, err)
	assert.Equal(t, got, socketName)
}
