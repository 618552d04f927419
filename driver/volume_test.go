package driver_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

func (b *bench) mounted(t *testing.T) []string {
	t.Helper()
	table, err := b.kernel.Table(t.Context(), mounter.Plugin)
	assert.NilError(t, err)
	var names []string
	for _, line := range table {
		if filepath.Dir(line.Target) == b.options.MountRoot {
			names = append(names, filepath.Base(line.Target))
		}
	}
	return names
}

// holders waits for the number of nodes that hold the pool's directories.
func (b *bench) holders(t *testing.T, want int) {
	t.Helper()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		records, err := b.driver.Holders(t.Context(), "")
		if err != nil {
			return poll.Error(err)
		}
		got := 0
		for _, record := range records {
			got += len(record.Holders)
		}
		if got == want {
			return poll.Success()
		}
		return poll.Continue("%d holders, not %d: %+v", got, want, records)
	}, poll.WithTimeout(10*time.Second), poll.WithDelay(20*time.Millisecond))
}

func TestVolumeLife(t *testing.T) {
	b := newBench(t)
	b.create(t, "radarr_config", map[string]string{"class": "db"})
	b.create(t, "radarr_config", map[string]string{"class": "db"}) // again: success
	target := b.mount(t, "radarr_config", "a")
	assert.NilError(t, os.WriteFile(filepath.Join(target, "radarr.db"), []byte("rows"), 0o600))
	assert.Equal(t, b.mount(t, "radarr_config", "b"), target)
	b.holders(t, 1)
	assert.ErrorContains(t, b.driver.Remove(t.Context(), "radarr_config"), "in use on this node by 2 container mount(s)")
	assert.NilError(t, b.driver.Unmount(t.Context(), "radarr_config", "a"))
	assert.DeepEqual(t, b.mounted(t), []string{"radarr_config"})
	assert.NilError(t, b.driver.Unmount(t.Context(), "radarr_config", "b"))
	assert.Equal(t, len(b.mounted(t)), 0)
	_, err := os.Lstat(target)
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.NilError(t, b.driver.Remove(t.Context(), "radarr_config"))
	b.holders(t, 0)
	_, err = b.driver.Get(t.Context(), "radarr_config")
	assert.ErrorIs(t, err, driver.ErrNotFound)
	assert.DeepEqual(t, b.pool.trash, []string{"radarr_config"})
}

func TestUnmountOfUnknownIDOrVolumeIsSuccess(t *testing.T) {
	b := newBench(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	b.mount(t, "vol", "a")
	assert.NilError(t, b.driver.Unmount(t.Context(), "vol", "other"))
	assert.NilError(t, b.driver.Unmount(t.Context(), "nothing", "a"))
	assert.DeepEqual(t, b.mounted(t), []string{"vol"})
}

// docker cp mounts and unmounts with the running container's own ID (FACTS 1).
func TestCopyOfARunningContainerKeepsItsMount(t *testing.T) {
	b := newBench(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	b.mount(t, "vol", "container")
	b.mount(t, "vol", "container")
	assert.NilError(t, b.driver.Unmount(t.Context(), "vol", "container"))
	assert.DeepEqual(t, b.mounted(t), []string{"vol"})
	assert.NilError(t, b.driver.Unmount(t.Context(), "vol", "container"))
	assert.Equal(t, len(b.mounted(t)), 0)
}

func TestNothingIsLostByAKillOfThePlugin(t *testing.T) {
	b := newBench(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	b.mount(t, "vol", "a")
	b.start(t)
	stop := b.run(t)
	defer stop()
	assert.DeepEqual(t, b.mounted(t), []string{"vol"})
	info, err := b.driver.Get(t.Context(), "vol")
	assert.NilError(t, err)
	assert.Equal(t, info.Status["uses_on_this_node"], 1)
	assert.NilError(t, b.driver.Unmount(t.Context(), "vol", "a"))
	b.holders(t, 0)
}

// An engine that was killed sends no Unmount for its dead containers; those that live on keep their mounts.
func TestUsesOfAnEndedEngineAreReapedWhenNobodyUsesThem(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"dead", "alive"} {
		b.create(t, name, map[string]string{"class": "db"})
		b.mount(t, name, name+"-id")
	}
	b.kernel.SetUsers(filepath.Join(b.options.MountRoot, "alive"), mounter.User{PID: 4242, Name: "radarr", Target: "/config"})
	b.engines.end(engine())
	b.start(t)
	stop := b.run(t)
	defer stop()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if got := strings.Join(b.mounted(t), " "); got != "alive" {
			return poll.Continue("mounted: %s", got)
		}
		return poll.Success()
	})
	b.holders(t, 1)
}

// Between our answer and the container's own mount nobody uses the volume yet.
func TestUsesOfTheLivingEngineAreNeverReaped(t *testing.T) {
	b := newBench(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	b.mount(t, "vol", "a")
	b.start(t)
	stop := b.run(t)
	stop()
	assert.DeepEqual(t, b.mounted(t), []string{"vol"})
}

// A forced disable of the plugin detaches its mounts; containers keep their own view and their uses stay counted.
func TestForcedDisableIsRestored(t *testing.T) {
	b := newBench(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	target := b.mount(t, "vol", "a")
	assert.NilError(t, b.kernel.Unmount(t.Context(), target))
	b.start(t)
	stop := b.run(t)
	defer stop()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if len(b.mounted(t)) == 1 {
			return poll.Success()
		}
		return poll.Continue("not mounted")
	})
}

func TestFailedMountUndoesItsSteps(t *testing.T) {
	b := newBench(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	b.kernel.Fail(mountertest.OpBind, 1, os.ErrPermission)
	_, err := b.driver.Mount(t.Context(), "vol", "a", engine())
	assert.ErrorContains(t, err, `volume "vol": `)
	b.holders(t, 0)
	assert.Equal(t, len(b.mounted(t)), 0)
	info, err := b.driver.Get(t.Context(), "vol")
	assert.NilError(t, err)
	assert.Assert(t, info.Status["last_error"] != nil)
	b.mount(t, "vol", "a")
	info, err = b.driver.Get(t.Context(), "vol")
	assert.NilError(t, err)
	assert.Assert(t, info.Status["last_error"] == nil)

	b.create(t, "again", map[string]string{"class": "db"})
	b.kernel.Fail(mountertest.OpBind, 1, os.ErrPermission)
	_, err = b.driver.Mount(t.Context(), "again", "a", engine())
	assert.Assert(t, err != nil)
	assert.NilError(t, b.driver.Remove(t.Context(), "again"))
	b.create(t, "again", map[string]string{"class": "db"})
	info, err = b.driver.Get(t.Context(), "again")
	assert.NilError(t, err)
	assert.Assert(t, info.Status["last_error"] == nil, "another volume of that name has not failed")
}

func TestReadsAndUnmountAnswerWithThePoolAway(t *testing.T) {
	b := newBench(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	b.mount(t, "vol", "a")
	b.pool.away.Store(true)
	b.start(t)
	stop := b.run(t)
	defer stop()
	infos, err := b.driver.List(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, len(infos), 1)
	_, err = b.driver.Get(t.Context(), "vol")
	assert.NilError(t, err)
	assert.NilError(t, b.driver.Unmount(t.Context(), "vol", "a"))
	assert.ErrorContains(t, b.driver.Create(t.Context(), "new", map[string]string{"class": "db"}), "media-apps")
	_, err = b.driver.Get(t.Context(), "vol")
	assert.NilError(t, err, "a pool that is away removes nothing")
}

// A removal that began is completed when the storage is back, whoever asked for it.
func TestInterruptedRemoveIsCompleted(t *testing.T) {
	b := newBench(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	b.pool.failRemove.Store(true)
	assert.ErrorContains(t, b.driver.Remove(t.Context(), "vol"), "the removal has begun and goes on by itself")
	_, err := b.driver.Get(t.Context(), "vol")
	assert.NilError(t, err, "until it is done it is there")
	_, err = b.driver.Mount(t.Context(), "vol", "a", engine())
	assert.ErrorContains(t, err, "it is being removed")
	b.pool.failRemove.Store(false)
	b.start(t) // a kill of the plugin in between
	stop := b.run(t)
	defer stop()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if _, err := b.driver.Get(t.Context(), "vol"); err != nil {
			return poll.Success()
		}
		return poll.Continue("still there")
	})
}

// What was made before a crash is completed at the next start, under the same ID.
func TestInterruptedCreateIsCompleted(t *testing.T) {
	b := newBench(t)
	b.create(t, "first", nil)
	catalog := filepath.Join(b.kernel.HostPath(poolPath), backend.PrivateFolder, backend.CatalogFolder, "volumes")
	content, err := os.ReadFile(filepath.Join(catalog, "first.json"))
	assert.NilError(t, err)
	half := strings.Replace(string(content), `"ready"`, `"creating"`, 1)
	assert.Assert(t, half != string(content))
	assert.NilError(t, os.WriteFile(filepath.Join(catalog, "first.json"), []byte(half), 0o600))
	assert.NilError(t, os.RemoveAll(filepath.Join(b.options.StateDir, "mirror")))
	b.start(t)
	_, err = b.driver.Get(t.Context(), "first")
	assert.ErrorIs(t, err, driver.ErrNotFound, "half made, it was never acknowledged")
	b.create(t, "second", nil) // attaches the catalog
	b.create(t, "first", nil)
	b.mount(t, "first", "a")
}

// After a forced disable with the pool away nobody can tell who uses a volume: its uses stay.
func TestUsesOfAVolumeThatIsNotMountedAreNotReaped(t *testing.T) {
	b := newBench(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	target := b.mount(t, "vol", "a")
	assert.NilError(t, b.kernel.Unmount(t.Context(), target))
	b.pool.away.Store(true)
	b.engines.end(engine())
	b.start(t)
	stop := b.run(t)
	stop()
	info, err := b.driver.Get(t.Context(), "vol")
	assert.NilError(t, err)
	assert.Equal(t, info.Status["uses_on_this_node"], 1)
}

func TestRemoveLeavesNoHolderRecord(t *testing.T) {
	b := newBench(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	b.mount(t, "vol", "a")
	folder := filepath.Join(b.pool.proven().Private, backend.HoldersFolder, backend.DirectoryKey("vol"))
	_, err := os.Stat(folder)
	assert.NilError(t, err)
	assert.NilError(t, b.driver.Unmount(t.Context(), "vol", "a"))
	assert.NilError(t, b.driver.Remove(t.Context(), "vol"))
	_, err = os.Stat(folder)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// The operator names the volume; its directory may have another name, and other volumes.
func TestHolderOfAVolume(t *testing.T) {
	b := newBench(t)
	b.create(t, "radarr_config", map[string]string{"class": "db", "subdir": "radarr"})
	b.mount(t, "radarr_config", "a")
	record, err := b.driver.HolderOf(t.Context(), "radarr_config")
	assert.NilError(t, err)
	assert.Equal(t, record.Pool, "media-apps")
	assert.Equal(t, record.Subdir, "radarr")
	assert.Equal(t, len(record.Holders), 1)
	_, err = b.driver.HolderOf(t.Context(), "radarr")
	assert.ErrorIs(t, err, driver.ErrNotFound)
	b.create(t, "torrents", map[string]string{"device": "//nas/torrents"})
	_, err = b.driver.HolderOf(t.Context(), "torrents")
	assert.Error(t, err, `volume "torrents" has no holder: only volumes with a directory on a pool have one`)
}
