package driver_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// drained follows a drain, or its end, to its end.
func (b *bench) drained(t *testing.T, report driver.DrainReport, err error) (string, error) {
	t.Helper()
	for err == nil && !report.Ended {
		report, err = b.driver.DrainProgress(t.Context(), "media-apps", len(report.Lines))
	}
	return strings.Join(report.Lines, "\n"), err
}

func (b *bench) drain(t *testing.T, options driver.DrainOptions) (string, error) {
	t.Helper()
	report, err := b.driver.Drain(t.Context(), "media-apps", options)
	return b.drained(t, report, err)
}

func (b *bench) undrain(t *testing.T) (string, error) {
	t.Helper()
	report, err := b.driver.Undrain(t.Context(), "media-apps")
	return b.drained(t, report, err)
}

// busyBench has a volume that a container uses; the engine unmounts it when that is stopped.
func busyBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.create(t, "radarr", map[string]string{"class": "db"})
	b.mount(t, "radarr", "use")
	b.engines.Running = []driver.Container{{ID: "c1", Name: "radarr", Image: "linuxserver/radarr", Volumes: []string{"radarr"}}}
	b.engines.OnStop = func(string) { assert.Check(t, b.driver.Unmount(t.Context(), "radarr", "use")) }
	return b
}

// When the pool is unmounted nothing of this node has it any more, and what is on other storage goes on.
func TestDrainTakesTheVolumesOffThePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := busyBench(t)
		b.pool.name.Store(besideName)
		b.create(t, "plex", map[string]string{"class": "db"})
		b.engines.Running = append(b.engines.Running, driver.Container{ID: "c2", Name: "plex", Volumes: []string{"plex"}})
		b.create(t, "thumbnails", map[string]string{"class": "cache"})
		target := b.mount(t, "thumbnails", "other")
		var held []int // directories, when the volumes and then the pool itself are refused
		b.pool.OnRefuse = func() {
			records, err := b.driver.Holders(t.Context(), "media-apps")
			assert.Check(t, err)
			held = append(held, len(records))
		}
		_, err := b.drain(t, driver.DrainOptions{Stop: true, Hold: true})
		assert.NilError(t, err)
		assert.DeepEqual(t, b.engines.Stopped, []string{"c1"}) // and nothing of another pool
		assert.DeepEqual(t, held, []int{1, 0})
		table, err := b.kernel.Table(t.Context(), mounter.Plugin)
		assert.NilError(t, err)
		var mounted []string
		for _, line := range table {
			if filepath.Dir(line.Target) == b.options.MountRoot {
				mounted = append(mounted, line.Target)
			}
		}
		assert.DeepEqual(t, mounted, []string{target})
		cluster := b.driver.Health(t.Context()).Catalogs[1]
		assert.Equal(t, cluster["attached"], false, "no file of its catalog is open")
	})
}

func TestDrainHoldsUntilUndrain(t *testing.T) {
	b := newBench(t)
	b.create(t, "radarr", map[string]string{"class": "db"})
	_, err := b.drain(t, driver.DrainOptions{Hold: true})
	assert.NilError(t, err)
	assert.Assert(t, b.pool.Refuses("media-apps", true))
	_, err = b.driver.Mount(t.Context(), "radarr", "a", engine())
	assert.ErrorIs(t, err, backend.ErrUnavailable)

	b.pool.Admit("media-apps") // a new process knows nothing but what is in the state folder
	b.start(t)
	assert.Assert(t, b.pool.Refuses("media-apps", true), "a restart of the plugin does not end a drain")
	_, err = b.undrain(t)
	assert.NilError(t, err)
	assert.Assert(t, !b.pool.Refuses("media-apps", false))
	b.mount(t, "radarr", "a")
}

// A process that no engine knows keeps the volume; it is named, and the pool is left mounted.
func TestDrainNamesAProcessThatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := busyBench(t)
		b.engines.Running = nil
		assert.NilError(t, b.driver.Unmount(t.Context(), "radarr", "use"))
		target := b.mount(t, "radarr", "again")
		b.kernel.SetUsers(target, mounter.User{PID: 7, Name: "vim", Target: "/x"})
		b.kernel.SetBusy(target, true)
		assert.ErrorContains(t, b.driver.Unmount(t.Context(), "radarr", "again"), "busy")
		_, err := b.drain(t, driver.DrainOptions{})
		assert.ErrorContains(t, err, `volume "radarr" is still used by process 7 (vim), at /x: stop it`)
		assert.Assert(t, !slices.Contains(b.pool.Calls(), "lower"))
		b.kernel.SetUsers(target)
		b.kernel.SetBusy(target, false)
		_, err = b.drain(t, driver.DrainOptions{})
		assert.NilError(t, err)
	})
}

// What a drain stopped and could not start is started when that can be done, also by the next process.
func TestRunFinishesADrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := busyBench(t)
		b.engines.Problems = map[string]error{"start": errors.New("it does not start")}
		_, err := b.drain(t, driver.DrainOptions{Stop: true})
		assert.ErrorContains(t, err, "not all of its containers were started: it does not start")
		b.mount(t, "radarr", "by hand")
		b.engines.Problems = nil
		b.start(t)
		stop := b.run(t)
		synctest.Wait()
		stop()
		files, err := os.ReadDir(filepath.Join(b.options.StateDir, "drains"))
		assert.NilError(t, err)
		assert.Equal(t, len(files), 0)
	})
}

func TestDrainOfNoPool(t *testing.T) {
	b := newBench(t)
	_, err := b.driver.Drain(t.Context(), "media", driver.DrainOptions{})
	assert.Error(t, err, `there is no pool "media"; configured: media-apps`)
	_, err = b.driver.Undrain(t.Context(), "")
	assert.ErrorContains(t, err, `pool "" is a folder`)
	_, err = b.driver.DrainProgress(t.Context(), "media-apps", 0)
	assert.ErrorContains(t, err, "nothing is known of a drain of pool media-apps")
}
