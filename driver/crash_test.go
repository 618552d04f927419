package driver_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

func (b *bench) uses(t *testing.T, name string) any {
	t.Helper()
	info, err := b.driver.Get(t.Context(), name)
	assert.NilError(t, err)
	return info.Status["uses_on_this_node"]
}

// The engine does not repeat an Unmount, so that one which comes while another call has the volume's turn must count.
func TestUnmountCountsWhileAMountHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(t, "vol", map[string]string{"class": "db"})
		b.mount(t, "vol", "first")
		hold := b.kernel.Hold(mountertest.OpBind, "")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		done := make(chan error, 1)
		go func() {
			_, err := b.driver.Mount(ctx, "vol", "second", engine())
			done <- err
		}()
		assert.NilError(t, hold.Reached(t.Context()))
		quick, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer stop()
		assert.NilError(t, b.driver.Unmount(quick, "vol", "first"))
		assert.Equal(t, b.uses(t, "vol"), nil)
		b.kernel.Release(hold)
		assert.NilError(t, <-done)
		assert.NilError(t, b.driver.Unmount(t.Context(), "vol", "second"))
		b.holders(t, 0)
	})
}

// What the run folder says of a running container may be lost; the kernel still shows that it uses the volume.
func TestVolumeInUseStaysMountedWithoutItsCount(t *testing.T) {
	b := newBench(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	target := b.mount(t, "vol", "running")
	assert.NilError(t, os.WriteFile(filepath.Join(b.options.RunDir, "references", "vol.json"), []byte("{"), 0o600))
	b.kernel.SetUsers(target, mounter.User{PID: 4242, Name: "radarr", Target: "/config"})
	b.start(t)
	stop := b.run(t)
	assert.NilError(t, b.driver.Unmount(t.Context(), "vol", "of-docker-cp"))
	stop()
	assert.DeepEqual(t, b.mounted(t), []string{"vol"})
	b.holders(t, 1)
	b.mount(t, "vol", "backup") // a second container comes and goes beside it
	assert.NilError(t, b.driver.Unmount(t.Context(), "vol", "backup"))
	assert.DeepEqual(t, b.mounted(t), []string{"vol"})
	b.holders(t, 1)
	b.kernel.SetUsers(target)
	b.start(t)
	defer b.run(t)()
	b.holders(t, 0)
	assert.Equal(t, len(b.mounted(t)), 0)
}

// A kill between taking the hold and counting the use leaves a hold that only the record knows.
func TestHoldOfAKilledMountIsGivenBack(t *testing.T) {
	b := newBench(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	target := b.mount(t, "vol", "a")
	assert.NilError(t, b.kernel.Unmount(t.Context(), target))
	assert.NilError(t, os.Remove(filepath.Join(b.options.RunDir, "references", "vol.json")))
	b.start(t)
	b.holders(t, 1)
	defer b.run(t)()
	b.holders(t, 0)
	assert.NilError(t, b.driver.Remove(t.Context(), "vol"))
}

// Also when the mounts cannot be looked at the first time: whether anything has it is then unknown.
func TestHoldOfAKilledMountIsGivenBackLate(t *testing.T) {
	b := newBench(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	target := b.mount(t, "vol", "a")
	assert.NilError(t, b.kernel.Unmount(t.Context(), target))
	assert.NilError(t, os.Remove(filepath.Join(b.options.RunDir, "references", "vol.json")))
	b.start(t)
	b.kernel.Fail(mountertest.OpTable, 2, syscall.EMFILE) // the sweep's own look is the first
	b.driver.Sweep(t.Context())
	b.holders(t, 1)
	b.driver.Sweep(t.Context())
	b.holders(t, 0)
}

// The same beside a record that cannot be read, as one of a newer version, or one that a power cut tore.
func TestDamagedRecordKeepsNoOtherHold(t *testing.T) {
	b := newBench(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	target := b.mount(t, "vol", "a")
	assert.NilError(t, b.kernel.Unmount(t.Context(), target))
	assert.NilError(t, os.Remove(filepath.Join(b.options.RunDir, "references", "vol.json")))
	holders := filepath.Join(b.pool.proven().Private, backend.HoldersFolder)
	assert.NilError(t, os.MkdirAll(filepath.Join(holders, "damaged"), 0o700))
	assert.NilError(t, os.WriteFile(filepath.Join(holders, "damaged", "record.json"), []byte("{"), 0o600))
	b.start(t)
	defer b.run(t)()
	held := filepath.Join(holders, backend.DirectoryKey("vol"), "record.json")
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if _, err := os.Stat(held); errors.Is(err, os.ErrNotExist) {
			return poll.Success()
		}
		return poll.Continue("the hold is still there")
	}, poll.WithTimeout(10*time.Second), poll.WithDelay(20*time.Millisecond))
}

// A removal that is refused is not carried out later, when nobody asks for it any more.
func TestRefusedRemoveChangesNothing(t *testing.T) {
	b := newBench(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	b.pool.refuseRemove.Store(true)
	assert.ErrorIs(t, b.driver.Remove(t.Context(), "vol"), backend.ErrRefused)
	b.pool.refuseRemove.Store(false)
	b.mount(t, "vol", "a")
}

// Remove right after the last Unmount, as compose down -v does, while what was written is still on its way to the disk.
func TestRemoveWaitsForThePoolToBeWrittenOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(t, "vol", map[string]string{"class": "db"})
		b.mount(t, "vol", "a")
		hold := b.kernel.Hold(mountertest.OpSync, "")
		assert.NilError(t, b.driver.Unmount(t.Context(), "vol", "a"))
		removed := make(chan error, 1)
		go func() { removed <- b.driver.Remove(t.Context(), "vol") }()
		assert.NilError(t, hold.Reached(t.Context()))
		select {
		case err := <-removed:
			t.Fatalf("removed before it was written out: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
		b.kernel.Release(hold)
		assert.NilError(t, <-removed)
		assert.DeepEqual(t, b.pool.trash, []string{"vol"})
	})
}

// The pool is being written out for one volume; another one of it is given back all the same.
func TestRemountDoesNotHoldUpOtherReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		for _, name := range []string{"one", "two"} {
			b.create(t, name, map[string]string{"class": "db", "subdir": name})
			b.mount(t, name, name)
		}
		hold := b.kernel.Hold(mountertest.OpSync, "")
		assert.NilError(t, b.driver.Unmount(t.Context(), "one", "one"))
		assert.NilError(t, hold.Reached(t.Context()))
		b.mount(t, "one", "again")
		assert.NilError(t, b.driver.Unmount(t.Context(), "two", "two"))
		b.kernel.Release(hold)
		b.holders(t, 1)
	})
}

// STANDALONE is switched off: its volumes stay valid on their node for ever.
func TestVolumesOfAPoolThatIsNotConfiguredAnyMore(t *testing.T) {
	b := newBench(t)
	_, err := b.pool.Prepare(t.Context(), "media-apps")
	assert.NilError(t, err)
	b.pool.standalone.Store(true)
	b.create(t, "vol", map[string]string{"class": "db"})
	off := configured()
	off.Pools = nil
	b.source.now.Store(off)
	b.mount(t, "vol", "a")
	assert.NilError(t, b.driver.Unmount(t.Context(), "vol", "a"))
	b.holders(t, 0)
	assert.NilError(t, b.driver.Remove(t.Context(), "vol"))
}

// A container that ended while the plugin was disabled is never unmounted by the engine.
func TestUseFromBeforeTheStartIsReapedWhenNothingUsesIt(t *testing.T) {
	b := newBench(t)
	now := time.Now()
	b.options.Now = func() time.Time { return now }
	b.start(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	b.mount(t, "vol", "a")
	now = now.Add(time.Minute)
	b.start(t)
	assert.NilError(t, b.driver.Unmount(t.Context(), "vol", "of-docker-cp"))
	assert.Equal(t, b.uses(t, "vol"), 1, "its container may be starting")
	now = now.Add(3 * time.Minute)
	assert.NilError(t, b.driver.Unmount(t.Context(), "vol", "of-docker-cp"))
	assert.Equal(t, b.uses(t, "vol"), nil)
	b.holders(t, 0)
}

// A crash leaves a temporary file, of credentials with the password inside; it goes when no living writer can have it any more.
func TestLeavingsOfACrashGo(t *testing.T) {
	b := newBench(t)
	now := time.Now()
	b.options.Now = func() time.Time { return now }
	b.start(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	b.driver.Sweep(t.Context())
	var left []string
	for _, folder := range []string{filepath.Join(b.pool.proven().Private, backend.CredentialsFolder), filepath.Join(b.kernel.HostPath(stateFolder), "credentials")} {
		assert.NilError(t, os.MkdirAll(folder, 0o700))
		left = append(left, filepath.Join(folder, ".tmp-left"))
		assert.NilError(t, os.WriteFile(left[len(left)-1], []byte("password=canary"), 0o600))
	}
	b.driver.Retain(t.Context())
	for _, file := range left {
		_, err := os.Stat(file)
		assert.NilError(t, err, "somebody may be writing it")
	}
	now = now.Add(2 * time.Hour)
	b.driver.Retain(t.Context())
	for _, file := range left {
		_, err := os.Stat(file)
		assert.ErrorIs(t, err, os.ErrNotExist)
	}
}

// A Create of a share that was killed is given up when the share refuses it: nobody was told that it is there, and a wrong password
// that is tried again and again locks the account.
func TestKilledCreateThatIsRefusedIsGivenUp(t *testing.T) {
	b := newBench(t)
	b.create(t, "films", map[string]string{"device": "//nas/films", "username": "media", "password": "canary"})
	private := b.pool.proven().Private
	record := filepath.Join(private, backend.CatalogFolder, "volumes", "films.json")
	content, err := os.ReadFile(record)
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(record, []byte(strings.Replace(string(content), `"ready"`, `"creating"`, 1)), 0o600))
	assert.NilError(t, os.RemoveAll(filepath.Join(b.options.StateDir, "mirror")))
	b.share.refuses.Store(true)
	b.start(t)
	b.create(t, "other", map[string]string{"class": "db"}) // attaches the catalog
	b.driver.Sweep(t.Context())
	_, err = os.Stat(record)
	assert.ErrorIs(t, err, os.ErrNotExist)
	secrets, err := os.ReadDir(filepath.Join(private, backend.CredentialsFolder))
	assert.NilError(t, err)
	assert.Equal(t, len(secrets), 0)
}

// So is one that was to begin with an entry of the trash that is gone by now: it would be tried for ever.
func TestKilledCreateWhoseTrashEntryIsGoneIsGivenUp(t *testing.T) {
	b := newBench(t)
	b.pool.restore = func() error { return nil }
	b.create(t, "films", map[string]string{"class": "db", "from": "trash/entry"})
	record := filepath.Join(b.pool.proven().Private, backend.CatalogFolder, "volumes", "films.json")
	content, err := os.ReadFile(record)
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(record, []byte(strings.Replace(string(content), `"ready"`, `"creating"`, 1)), 0o600))
	assert.NilError(t, os.RemoveAll(filepath.Join(b.options.StateDir, "mirror")))
	b.pool.restore = func() error { return &backend.Failure{Err: backend.ErrRefused, Text: "there is no entry"} }
	b.start(t)
	b.create(t, "other", map[string]string{"class": "db"}) // attaches the catalog
	b.driver.Sweep(t.Context())
	_, err = os.Stat(record)
	assert.ErrorIs(t, err, os.ErrNotExist)
}
