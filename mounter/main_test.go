package mounter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/need"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// With root, the tests run in a process that stands for a managed plugin: its parent is in another mount namespace, the
// host's, which has a pool; the two share a propagated-mount folder. Both namespaces are made here and are gone with their
// processes, whatever a test leaves behind.
const (
	levelVariable  = "MOUNTER_TEST_LEVEL"
	folderVariable = "MOUNTER_TEST_FOLDER"
)

func TestMain(m *testing.M) {
	level := os.Getenv(levelVariable)
	if os.Getuid() != 0 || level == "plugin" || level == "ready" {
		if level == "plugin" {
			check(preparePlugin(os.Getenv(folderVariable)))
			check(os.Setenv(levelVariable, "ready")) // for the workers of a fuzz test
		}
		os.Exit(m.Run())
	}
	next := "plugin"
	folder := os.Getenv(folderVariable)
	if level == "" {
		next = "host"
		var err error
		folder, err = os.MkdirTemp("", "mounter")
		check(err)
	} else {
		check(prepareHost(folder))
	}
	code := again(next, folder)
	if level == "" {
		check(os.Remove(folder)) // what was in it was on a tmpfs of the host's namespace
	}
	os.Exit(code)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// again runs this test program in a new mount namespace and gives its exit code.
func again(level, folder string) int {
	command := exec.Command(os.Args[0], os.Args[1:]...)
	command.Env = append(os.Environ(), levelVariable+"="+level, folderVariable+"="+folder)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		check(err)
	}
	return command.ProcessState.ExitCode()
}

// prepareHost makes the host: a shared tree with a pool and the engine's folder.
func prepareHost(folder string) error {
	pool, engine, second := filepath.Join(folder, "pool"), filepath.Join(folder, "propagated-mount"), filepath.Join(folder, "second")
	return errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("tmpfs", folder, "tmpfs", 0, "mode=755"),
		unix.Mount("", folder, "", unix.MS_SHARED, ""),
		os.MkdirAll(pool, 0o755), os.MkdirAll(engine, 0o755),
		os.MkdirAll(filepath.Join(folder, "volumes"), 0o755), os.MkdirAll(filepath.Join(folder, "container"), 0o755),
		unix.Mount("pool", pool, "tmpfs", 0, "mode=755"),
		unix.Mount(engine, engine, "", unix.MS_BIND, ""),
		os.MkdirAll(second, 0o755), os.MkdirAll(filepath.Join(folder, "second-volumes"), 0o755),
		unix.Mount(second, second, "", unix.MS_BIND, ""), // in a peer group of its own, as where the host's / is not shared
		unix.Mount("", second, "", unix.MS_PRIVATE, ""), unix.Mount("", second, "", unix.MS_SHARED, ""),
	)
}

// preparePlugin makes the plugin's namespace: no pool in it, and nothing shared with the host but the volumes.
func preparePlugin(folder string) error {
	volumes := filepath.Join(folder, "volumes")
	second := filepath.Join(folder, "second-volumes")
	err := errors.Join(
		unix.Mount(filepath.Join(folder, "propagated-mount"), volumes, "", unix.MS_BIND, ""),
		unix.Mount(filepath.Join(folder, "second"), second, "", unix.MS_BIND, ""),
	)
	if err != nil {
		return err
	}
	file, err := os.Open("/proc/thread-self/mountinfo")
	if err != nil {
		return err
	}
	table, err := mounter.ReadTable(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	for _, mount := range table {
		if mount.Target == volumes || mount.Target == second {
			continue
		}
		if err := unix.Mount("", mount.Target, "", unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("%s: %w", mount.Target, err)
		}
	}
	return unix.Unmount(filepath.Join(folder, "pool"), 0)
}

// fixture is a mounter in the plugin's namespace.
type fixture struct {
	*mounter.Linux
	folder  string // of both namespaces
	pool    mounter.Place
	fault   func(op string) error
	options mounter.Options
}

// newFixture needs root; without it the test is skipped, or fails in CI.
func newFixture(tb testing.TB) *fixture {
	tb.Helper()
	need.Root(tb)
	f := &fixture{folder: os.Getenv(folderVariable)}
	f.pool = mounter.Place{Side: mounter.Host, Path: filepath.Join(f.folder, "pool")}
	log := logrus.New()
	log.SetOutput(io.Discard)
	f.options = mounter.Options{
		TargetRoot: filepath.Join(f.folder, "volumes"), Log: logrus.NewEntry(log),
		Fault: func(op string) error {
			if f.fault != nil {
				return f.fault(op)
			}
			return nil
		},
	}
	linux, err := mounter.New(f.options)
	assert.NilError(tb, err)
	f.Linux = linux
	return f
}

// target is a place for a volume of this test.
func (f *fixture) target(t *testing.T) string {
	t.Helper()
	return filepath.Join(f.folder, "volumes", t.Name())
}

// poolFolder makes a directory on the pool, for this test, and gives its path in this process.
func (f *fixture) poolFolder(t *testing.T, name string) string {
	t.Helper()
	pool := f.HostPath(f.pool.Path)
	first, _, _ := strings.Cut(name, "/")
	t.Cleanup(func() { assert.Check(t, os.RemoveAll(filepath.Join(pool, first))) })
	folder := filepath.Join(pool, name)
	assert.NilError(t, os.MkdirAll(folder, 0o755))
	return folder
}

// mounted finds a target in the plugin's table.
func (f *fixture) mounted(t *testing.T, target string) (mounter.Mount, bool) {
	t.Helper()
	table, err := f.Table(t.Context(), mounter.Plugin)
	assert.NilError(t, err)
	for _, mount := range table {
		if mount.Target == target {
			return mount, true
		}
	}
	return mounter.Mount{}, false
}

// assertGone says that neither mount nor folder are left.
func (f *fixture) assertGone(t *testing.T, target string) {
	t.Helper()
	_, there := f.mounted(t, target)
	assert.Assert(t, !there, "%s is still mounted", target)
	_, err := os.Lstat(target)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// eventually polls until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("in vain: %s", what)
		}
	}
}
