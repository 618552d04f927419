package driver_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
	b.engines.running = []driver.Container{{ID: "c1", Name: "radarr", Image: "linuxserver/radarr", Volumes: []string{"radarr"}}}
	b.engines.onStop = func(string) { assert.Check(t, b.driver.Unmount(t.Context(), "radarr", "use")) }
	return b
}

func TestDrainNamesWhatMustBeStopped(t *testing.T) {
	b := busyBench(t)
	b.engines.running = append(b.engines.running,
		driver.Container{ID: "c2", Name: "media_sonarr.1.x", Image: "sonarr", Volumes: []string{"radarr"}, Service: "media_sonarr"},
		driver.Container{ID: "c3", Name: "other", Volumes: []string{"elsewhere"}})
	_, err := b.drain(t, driver.DrainOptions{})
	assert.Error(t, err, "pool media-apps is in use on this node. Stop these containers, or let them be stopped and started again with --stop:\n"+
		"  radarr (image linuxserver/radarr) has radarr\n"+
		"  media_sonarr.1.x (image sonarr) has radarr; a task of the Swarm service media_sonarr, which starts another one: scale it down or drain the node")
	assert.Equal(t, len(b.pool.asked()), 0, "nothing was done")
	_, err = b.driver.Mount(t.Context(), "radarr", "second", engine())
	assert.NilError(t, err)
}

func TestDrainStopsChecksAndStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := busyBench(t)
		b.pool.others = []string{"node2", "node3"}
		b.pool.verdict = backend.Verdict{Command: "fsck.ocfs2 -fn /dev/sda", Count: 1, Findings: []string{"[INODE_NLINKS] Inode 5"}}
		text, err := b.drain(t, driver.DrainOptions{Stop: true})
		assert.NilError(t, err)
		assert.Equal(t, text, "No volume of pool media-apps is mounted on this node any more, until the end.\n"+
			"Stopped radarr, which had radarr.\n"+
			"Other nodes have pool media-apps mounted: node2, node3. A check reads while they write, and may find what is not wrong.\n"+
			"Pool media-apps is unmounted.\n"+
			"fsck.ocfs2 -fn /dev/sda found 1 (--repair repairs them):\n  [INODE_NLINKS] Inode 5\n"+
			"Pool media-apps is mounted and well.\nStarted radarr.")
		assert.DeepEqual(t, b.pool.asked(), []string{"refuse false", "neighbours", "refuse true", "lower", "check false", "lift", "admit"})
		assert.DeepEqual(t, b.engines.crowd.started, []string{"c1"})
		text, err = b.undrain(t)
		assert.NilError(t, err)
		assert.Equal(t, text, "Pool media-apps is not drained on this node.")
	})
}

func TestDrainHoldsUntilUndrain(t *testing.T) {
	b := newBench(t)
	b.create(t, "radarr", map[string]string{"class": "db"})
	_, err := b.drain(t, driver.DrainOptions{Hold: true})
	assert.NilError(t, err)
	assert.Assert(t, b.pool.refuses(true))
	_, err = b.driver.Mount(t.Context(), "radarr", "a", engine())
	assert.ErrorIs(t, err, backend.ErrUnavailable)

	b.pool.Admit("media-apps") // a new process knows nothing but what is in the state folder
	b.start(t)
	assert.Assert(t, b.pool.refuses(true), "a restart of the plugin does not end a drain")
	_, err = b.undrain(t)
	assert.NilError(t, err)
	assert.Assert(t, !b.pool.refuses(false))
	b.mount(t, "radarr", "a")
}

// Each step may fail; the drain stays, says what is in the way, and goes on when it is asked for again, also by a new process.
func TestDrainGoesOnAfterAFailure(t *testing.T) {
	for _, step := range []string{"lower", "check false", "lift"} {
		t.Run(step, func(t *testing.T) {
			b := busyBench(t)
			b.pool.fail(step, errors.New("something is in the way"))
			_, err := b.drain(t, driver.DrainOptions{Stop: true})
			assert.Error(t, err, "something is in the way\nPool media-apps stays drained on this node. Run the command again when what is in the way "+
				"is gone, or, to mount it as it is: docker homelab undrain media-apps")
			assert.Assert(t, b.pool.refuses(true))
			assert.Equal(t, len(b.engines.crowd.started), 0)
			b.start(t)
			assert.Assert(t, b.pool.refuses(true))
			b.pool.fail(step, nil)
			_, err = b.drain(t, driver.DrainOptions{})
			assert.NilError(t, err)
			assert.DeepEqual(t, b.engines.crowd.started, []string{"c1"})
			assert.Assert(t, !b.pool.refuses(false))
		})
	}
}

func TestDrainFailuresOfTheEngine(t *testing.T) {
	b := busyBench(t)
	b.engines.problems = map[string]error{"using": errors.New("the engine is away")}
	_, err := b.drain(t, driver.DrainOptions{Stop: true})
	assert.Error(t, err, "the engine is away")
	assert.Equal(t, len(b.pool.asked()), 0)

	b.engines.problems = map[string]error{"stop": errors.New("it does not stop")}
	_, err = b.drain(t, driver.DrainOptions{Stop: true})
	assert.ErrorContains(t, err, "it does not stop\nPool media-apps stays drained")
	assert.Assert(t, !b.pool.refuses(true), "its container still works")
	_, err = b.driver.Mount(t.Context(), "radarr", "new", engine())
	assert.ErrorIs(t, err, backend.ErrUnavailable)

	b.engines.problems = map[string]error{"start": errors.New("it does not start")}
	_, err = b.drain(t, driver.DrainOptions{Stop: true})
	assert.ErrorContains(t, err, "its volumes can be used, but not all of its containers were started: it does not start")
	b.engines.problems = nil
	stop := b.run(t) // the start of a plugin tries again
	defer stop()
	assert.NilError(t, waitFor(t, func() bool {
		files, err := os.ReadDir(filepath.Join(b.options.StateDir, "drains"))
		return err == nil && len(files) == 0
	}))
}

func waitFor(t *testing.T, done func() bool) error {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for began := time.Now(); time.Since(began) < 10*time.Second; <-ticker.C {
		if done() {
			return nil
		}
	}
	return errors.New("not within 10 s")
}

// A process that no engine knows keeps the volume; it is named, and the pool is left mounted.
func TestDrainNamesAProcessThatStays(t *testing.T) {
	b := busyBench(t)
	b.engines.running = nil
	assert.NilError(t, b.driver.Unmount(t.Context(), "radarr", "use"))
	target := b.mount(t, "radarr", "again")
	b.kernel.SetUsers(target, mounter.User{PID: 7, Name: "vim", Target: "/x"})
	b.kernel.SetBusy(target, true)
	assert.ErrorContains(t, b.driver.Unmount(t.Context(), "radarr", "again"), "busy")
	_, err := b.drain(t, driver.DrainOptions{})
	assert.ErrorContains(t, err, `volume "radarr" is still used by process 7 (vim), at /x: stop it`)
	assert.Assert(t, !slices.Contains(b.pool.asked(), "lower"))
	b.kernel.SetUsers(target)
	b.kernel.SetBusy(target, false)
	_, err = b.drain(t, driver.DrainOptions{})
	assert.NilError(t, err)
}

// A container whose mount was answered a moment before is found once nothing can be mounted any more; it is not stopped unasked.
func TestDrainFindsAContainerThatWasStarting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := busyBench(t)
		late := b.engines.running
		b.engines.running = nil
		b.pool.onRefuse = func() { b.engines.running = late }
		_, err := b.drain(t, driver.DrainOptions{})
		assert.ErrorContains(t, err, "radarr (image linuxserver/radarr) has radarr\nPool media-apps stays drained")
		assert.Equal(t, len(b.engines.stopped), 0)
		assert.Assert(t, !b.pool.refuses(true))
		_, err = b.drain(t, driver.DrainOptions{Stop: true})
		assert.NilError(t, err)
	})
}

func TestDrainRepairsOnlyAlone(t *testing.T) {
	b := newBench(t)
	b.pool.others = []string{"node2"}
	_, err := b.drain(t, driver.DrainOptions{Repair: true})
	assert.ErrorContains(t, err, "pool media-apps is not repaired while other nodes have it mounted: node2.")
	assert.DeepEqual(t, b.pool.asked(), []string{"neighbours"})
	b.pool.others = nil
	b.pool.verdict = backend.Verdict{Command: "fsck.ocfs2 -fy /dev/sda", Count: 1, Findings: []string{"[INODE_NLINKS] Inode 5"}}
	text, err := b.drain(t, driver.DrainOptions{Repair: true})
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(text, "fsck.ocfs2 -fy /dev/sda found and repaired 1:"), text)
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

// What the state folder says is not trusted, and forgets nothing.
func TestDrainWithADamagedState(t *testing.T) {
	b := newBench(t)
	file := filepath.Join(b.options.StateDir, "drains", "media-apps.json")
	for _, text := range []string{"{", `{"version":1,"pool":"other"}`, `{"version":2,"pool":"media-apps"}`} {
		assert.NilError(t, os.WriteFile(file, []byte(text), 0o600))
		b.start(t)
		_, err := b.undrain(t)
		assert.ErrorContains(t, err, "the state of the drained pool media-apps (media-apps.json) cannot be read")
		_, err = b.drain(t, driver.DrainOptions{})
		assert.ErrorContains(t, err, "cannot be read")
	}
}
