package backendtest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// Canary is a password that a bench gives to its storage if it has one: the suite looks for it in every text.
const Canary = "canary-7f3a"

// ID is the volume's ID of every part.
const ID = "0123456789abcdef0123456789abcdef"

// deadline is what the suite gives a call that the kernel does not answer, and slack what it may take to notice.
const (
	deadline = 50 * time.Millisecond
	slack    = 3 * time.Second
)

// Bench is one backend on a fake kernel.
type Bench struct {
	Kernel  *mountertest.Kernel
	Backend backend.Backend
	// Request is a good request; uid and gid are those of the process, so that no test needs root.
	Request backend.Request
	// Bad are requests that must be refused; their errors must hold the key.
	Bad map[string]backend.Request
	// Folder is where the volume's directory is, as a test can open it. Nil for storage whose directories are not made at
	// Create.
	Folder func(location backend.Location) string
	// Trashes says that Remove takes what Create made away; else Remove leaves it (a share).
	Trashes bool
	// Disposable says that Stage makes the directory.
	Disposable bool
}

// Run runs the suite.
func Run(t *testing.T, factory func(t *testing.T) Bench) {
	t.Helper()
	for name, part := range map[string]func(*testing.T, Bench){
		"plan touches nothing":        planTouchesNothing,
		"bad requests are refused":    badRequests,
		"create is idempotent":        createIsIdempotent,
		"stage never creates":         stageNeverCreates,
		"adopted is left alone":       adoptedIsLeftAlone,
		"remove is idempotent":        removeIsIdempotent,
		"deadlines are kept":          deadlinesAreKept,
		"status never waits":          statusNeverWaits,
		"nothing shows a secret":      nothingShowsASecret,
		"concurrent calls are served": concurrentCalls,
	} {
		t.Run(name, func(t *testing.T) { part(t, factory(t)) })
	}
	t.Run("create and stage survive every fault", func(t *testing.T) { everyFault(t, factory) })
}

// planned plans the good request.
func (b Bench) planned(t *testing.T) backend.Volume {
	t.Helper()
	plan, err := b.Backend.Plan(t.Context(), b.Request)
	assert.NilError(t, err)
	assert.Equal(t, plan.Location.Kind, b.Backend.Kind())
	return backend.Volume{ID: ID, Name: b.Request.Name, Location: plan.Location}
}

// created creates the good request.
func (b Bench) created(t *testing.T) backend.Volume {
	t.Helper()
	volume := b.planned(t)
	location, err := b.Backend.Create(t.Context(), volume, false)
	assert.NilError(t, err)
	volume.Location = location
	return volume
}

func planTouchesNothing(t *testing.T, b Bench) {
	before := b.Kernel.Calls()
	first, second := b.planned(t), b.planned(t)
	assert.DeepEqual(t, first, second)
	assert.Equal(t, b.Kernel.Calls(), before)
}

func badRequests(t *testing.T, b Bench) {
	assert.Assert(t, len(b.Bad) > 0, "a bench must say what is refused")
	for want, request := range b.Bad {
		_, err := b.Backend.Plan(t.Context(), request)
		assert.ErrorContains(t, err, want)
		readable(t, err)
	}
}

func createIsIdempotent(t *testing.T, b Bench) {
	volume := b.created(t)
	for range 2 {
		location, err := b.Backend.Create(t.Context(), volume, true)
		assert.NilError(t, err)
		assert.DeepEqual(t, location, volume.Location)
	}
	if b.Folder == nil {
		return
	}
	info, err := os.Stat(b.Folder(volume.Location))
	assert.NilError(t, err)
	assert.Assert(t, info.IsDir())
}

func stageNeverCreates(t *testing.T, b Bench) {
	volume := b.created(t)
	for range 2 {
		staged, err := b.Backend.Stage(t.Context(), volume)
		assert.NilError(t, err)
		mustBind(t, b, staged)
	}
	if b.Disposable {
		return
	}
	folder := b.Folder(volume.Location)
	assert.NilError(t, os.Remove(folder))
	_, err := b.Backend.Stage(t.Context(), volume)
	assert.ErrorIs(t, err, fs.ErrNotExist)
	readable(t, err)
	_, err = os.Lstat(folder)
	assert.ErrorIs(t, err, fs.ErrNotExist)
	assert.NilError(t, os.Symlink("/etc", folder))
	_, err = b.Backend.Stage(t.Context(), volume)
	assert.ErrorContains(t, err, "symbolic link")
	readable(t, err)
}

// mustBind binds or mounts what was staged, as the driver does, and takes it away again.
func mustBind(t *testing.T, b Bench, staged backend.Staged) {
	t.Helper()
	target := filepath.Join(b.Kernel.Temp(), "volumes", "v")
	if staged.Tmpfs != nil {
		spec := *staged.Tmpfs
		spec.Target = target
		assert.NilError(t, b.Kernel.MountTmpfs(t.Context(), spec))
	} else {
		bind := mounter.Bind{Base: staged.Base, Device: staged.Device, Subdir: staged.Subdir, Target: target, ReadOnly: staged.ReadOnly, Mask: staged.Mask}
		assert.NilError(t, b.Kernel.Bind(t.Context(), bind))
	}
	assert.NilError(t, b.Kernel.Unmount(t.Context(), target))
}

func adoptedIsLeftAlone(t *testing.T, b Bench) {
	if b.Folder == nil {
		return // storage that makes its directories under names of its own has nothing to adopt
	}
	volume := b.created(t) // for the pool or share to be ready
	volume.ID, volume.Location.Subdir = strings.Repeat("a", 32), "adopted"
	folder := b.Folder(volume.Location)
	assert.NilError(t, os.Mkdir(folder, 0o711))
	assert.NilError(t, os.Mkdir(filepath.Join(folder, "data"), 0o700))
	location, err := b.Backend.Create(t.Context(), volume, false)
	assert.NilError(t, err)
	assert.Assert(t, location.Adopted)
	volume.Location = location
	_, err = b.Backend.Stage(t.Context(), volume)
	assert.NilError(t, err)
	assert.NilError(t, b.Backend.Remove(t.Context(), volume))
	info, err := os.Stat(folder)
	assert.NilError(t, err)
	assert.Equal(t, info.Mode().Perm(), fs.FileMode(0o711))
	_, err = os.Stat(filepath.Join(folder, "data"))
	assert.NilError(t, err)
}

func removeIsIdempotent(t *testing.T, b Bench) {
	volume := b.created(t)
	_, err := b.Backend.Stage(t.Context(), volume)
	assert.NilError(t, err)
	for range 3 {
		assert.NilError(t, b.Backend.Remove(t.Context(), volume))
	}
	if b.Folder == nil {
		return
	}
	_, err = os.Stat(b.Folder(volume.Location))
	assert.Equal(t, errors.Is(err, fs.ErrNotExist), b.Trashes)
}

// everyFault fails each call of the kernel in turn: the error is readable, and the same call then comes to the same end.
func everyFault(t *testing.T, factory func(t *testing.T) Bench) {
	broken := errors.New("broken on purpose")
	failures := 0
	for n := 1; ; n++ {
		b := factory(t)
		volume := b.planned(t)
		b.Kernel.FailNth(n, broken)
		before := b.Kernel.Calls()
		location, err := b.Backend.Create(t.Context(), volume, false)
		if err != nil {
			failures++
			readable(t, err)
			location, err = b.Backend.Create(t.Context(), volume, true)
		}
		assert.NilError(t, err)
		assert.Assert(t, !location.Adopted)
		volume.Location = location
		if _, err = b.Backend.Stage(t.Context(), volume); err != nil {
			failures++
			readable(t, err)
			_, err = b.Backend.Stage(t.Context(), volume)
		}
		assert.NilError(t, err)
		if err = b.Backend.Remove(t.Context(), volume); err != nil {
			failures++
			readable(t, err)
			err = b.Backend.Remove(t.Context(), volume)
		}
		assert.NilError(t, err)
		if b.Kernel.Calls()-before < n {
			break
		}
	}
	assert.Assert(t, failures > 0, "no fault was met")
	t.Logf("measured: %d faults met", failures)
}
