package drain_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/drain"
	"github.com/homelab-storage/homelab-storage/internal/durable"
)

func TestDrainNamesWhatMustBeStopped(t *testing.T) {
	b := newBench(t)
	b.containers.Running = append(b.containers.Running,
		drain.Container{ID: "c2", Name: "media_sonarr.1.x", Image: "sonarr", Volumes: []string{"radarr"}, Service: "media_sonarr"},
		drain.Container{ID: "c3", Name: "other", Volumes: []string{"elsewhere"}})
	_, err := b.drain(t, drain.Request{})
	assert.Error(t, err, "pool media-apps is in use on this node. Stop these containers, or let them be stopped and started again with --stop:\n"+
		"  radarr (image linuxserver/radarr) has radarr\n"+
		"  media_sonarr.1.x (image sonarr) has radarr; a task of the Swarm service media_sonarr, which starts another one: scale it down or drain the node")
	assert.Equal(t, len(b.pools.Calls()), 0, "nothing was done")
}

func TestDrainStopsChecksAndStartsAgain(t *testing.T) {
	b := newBench(t)
	b.pools.Others = []string{"node2", "node3"}
	b.pools.Verdict = backend.Verdict{Command: "fsck.ocfs2 -fn /dev/sda", Count: 1, Findings: []string{"[INODE_NLINKS] Inode 5"}}
	text, err := b.drain(t, drain.Request{Stop: true})
	assert.NilError(t, err)
	assert.Equal(t, text, "No volume of pool media-apps is mounted on this node any more, until the end.\n"+
		"Stopped radarr, which had radarr.\n"+
		"Other nodes have pool media-apps mounted: node2, node3. A check reads while they write, and may find what is not wrong.\n"+
		"Pool media-apps is unmounted.\n"+
		"fsck.ocfs2 -fn /dev/sda found 1 (--repair repairs them):\n  [INODE_NLINKS] Inode 5\n"+
		"Pool media-apps is mounted and well.\nStarted radarr.")
	assert.DeepEqual(t, b.pools.Calls(), []string{
		"refuse false", "vacate radarr sonarr", "neighbours", "refuse true", "let go", "lower", "check false", "lift", "admit",
	})
	assert.DeepEqual(t, b.containers.Started, []string{"c1"})
	text, err = b.undrain(t)
	assert.NilError(t, err)
	assert.Equal(t, text, "Pool media-apps is not drained on this node.")
}

// Swarm starts its tasks itself.
func TestDrainLeavesTasksToSwarm(t *testing.T) {
	b := newBench(t)
	b.containers.Running[0].Service = "media_radarr"
	text, err := b.drain(t, drain.Request{Stop: true})
	assert.NilError(t, err)
	assert.Assert(t, strings.HasSuffix(text, "\nradarr was a task of the Swarm service media_radarr, which starts its tasks itself."), text)
	assert.Equal(t, len(b.containers.Started), 0)
}

func TestDrainHoldsUntilUndrain(t *testing.T) {
	b := newBench(t)
	text, err := b.drain(t, drain.Request{Stop: true, Hold: true})
	assert.NilError(t, err)
	assert.Assert(t, strings.HasSuffix(text, "\nIt stays so until you write: docker homelab undrain media-apps"), text)
	b.pools.Admit(pool) // a new process knows nothing but what is in the state folder
	b.start(t)
	assert.Assert(t, b.pools.Refuses(pool, true), "a restart of the plugin does not end a drain")
	text, err = b.undrain(t)
	assert.NilError(t, err)
	assert.Equal(t, text, "Pool media-apps is mounted and well.\nStarted radarr.")
	assert.Assert(t, !b.pools.Refuses(pool, false))
}

// Each step may fail; the drain stays, says what is in the way, and goes on when it is asked for again, also by a new process.
func TestDrainGoesOnAfterAFailure(t *testing.T) {
	for _, step := range []string{"lower", "check false", "lift"} {
		t.Run(step, func(t *testing.T) {
			b := newBench(t)
			b.pools.Fail(step, errors.New("something is in the way"))
			_, err := b.drain(t, drain.Request{Stop: true})
			assert.Error(t, err, "something is in the way\nPool media-apps stays drained on this node. Run the command again when what is in the way "+
				"is gone, or, to mount it as it is: docker homelab undrain media-apps")
			assert.Assert(t, b.pools.Refuses(pool, true))
			assert.Equal(t, len(b.containers.Started), 0)
			b.pools.Admit(pool)
			b.start(t)
			assert.Assert(t, b.pools.Refuses(pool, true))
			b.pools.Fail(step, nil)
			_, err = b.drain(t, drain.Request{})
			assert.NilError(t, err)
			assert.DeepEqual(t, b.containers.Started, []string{"c1"})
			assert.Assert(t, !b.pools.Refuses(pool, false))
		})
	}
}

// While something keeps a volume its pool is left mounted.
func TestDrainStaysWhileAVolumeIsUsed(t *testing.T) {
	b := newBench(t)
	b.volumes.err = errors.New("a process stays")
	_, err := b.drain(t, drain.Request{Stop: true})
	assert.ErrorContains(t, err, "a process stays\nPool media-apps stays drained")
	assert.DeepEqual(t, b.pools.Calls(), []string{"refuse false", "vacate radarr sonarr"})
}

func TestDrainFailuresOfTheEngine(t *testing.T) {
	b := newBench(t)
	b.containers.Problems = map[string]error{"using": errors.New("the engine is away")}
	_, err := b.drain(t, drain.Request{Stop: true})
	assert.Error(t, err, "the engine is away")
	assert.Equal(t, len(b.pools.Calls()), 0)

	b.containers.Problems = map[string]error{"stop": errors.New("it does not stop")}
	_, err = b.drain(t, drain.Request{Stop: true})
	assert.ErrorContains(t, err, "it does not stop\nPool media-apps stays drained")
	assert.Assert(t, !b.pools.Refuses(pool, true), "its container still works")
	assert.Assert(t, b.pools.Refuses(pool, false))

	b.containers.Problems = map[string]error{"start": errors.New("it does not start")}
	_, err = b.drain(t, drain.Request{Stop: true})
	assert.ErrorContains(t, err, "its volumes can be used, but not all of its containers were started: it does not start")
	b.start(t)
	assert.Assert(t, !b.pools.Refuses(pool, false), "the drain is over but for that")
	b.Finish(t.Context())
	assert.Assert(t, strings.Contains(b.log.String(), "the containers that a drain stopped are not all started yet"))
	b.containers.Problems = nil
	b.Finish(t.Context())
	assert.DeepEqual(t, b.containers.Started, []string{"c1", "c1", "c1"})
	b.Finish(t.Context())
	assert.Equal(t, len(b.containers.Started), 3, "the drain is forgotten")
}

// What was started once may have ended, or a person may have stopped it: it is not started again because another one cannot start. A
// restart of the plugin changes nothing about that.
func TestDrainStartsAContainerOnce(t *testing.T) {
	b := newBench(t)
	b.containers.Running = append(b.containers.Running,
		drain.Container{ID: "c2", Name: "sonarr", Volumes: []string{"sonarr"}},
		drain.Container{ID: "c3", Name: "backup", Volumes: []string{"radarr"}},
		drain.Container{ID: "c4", Name: "media.1.x", Volumes: []string{"radarr"}, Service: "media"})
	b.containers.Problems = map[string]error{"start c2": errors.New("its network is gone")}
	text, err := b.drain(t, drain.Request{Stop: true})
	assert.ErrorContains(t, err, "not all of its containers were started: its network is gone")
	assert.Assert(t, strings.HasSuffix(text, "\nStarted radarr.\nStarted backup.\n"+
		"media.1.x was a task of the Swarm service media, which starts its tasks itself."), text)
	b.Finish(t.Context())
	b.start(t)
	b.Finish(t.Context())
	assert.DeepEqual(t, b.containers.Started, []string{"c1", "c2", "c3", "c2", "c2"})
	b.containers.Problems = nil
	b.Finish(t.Context())
	b.Finish(t.Context())
	assert.DeepEqual(t, b.containers.Started, []string{"c1", "c2", "c3", "c2", "c2", "c2"})
	text, err = b.undrain(t)
	assert.NilError(t, err)
	assert.Equal(t, text, "Pool media-apps is not drained on this node.")
}

// That a container was started cannot be written down: the others are started all the same, and the error says what is in the way.
func TestDrainThatCannotForget(t *testing.T) {
	b := newBench(t)
	b.containers.Running = append(b.containers.Running, drain.Container{ID: "c2", Name: "sonarr", Volumes: []string{"sonarr"}})
	full := false
	b.options.Durable = []durable.Option{durable.WithFault(func(string, string) error {
		if full {
			return syscall.ENOSPC
		}
		return nil
	})}
	b.start(t)
	b.containers.OnStart = func(string) { full = true }
	_, err := b.drain(t, drain.Request{Stop: true})
	assert.ErrorIs(t, err, syscall.ENOSPC)
	assert.Assert(t, !strings.Contains(err.Error(), "not all of its containers were started"), err)
	assert.DeepEqual(t, b.containers.Started, []string{"c1", "c2"})
	full, b.containers.OnStart = false, nil
	b.Finish(t.Context())
	assert.Assert(t, !strings.Contains(b.log.String(), "not all started yet"))
	b.Finish(t.Context())
	assert.DeepEqual(t, b.containers.Started, []string{"c1", "c2", "c1", "c2"})
}

// A pool whose containers could not all be started is mounted; another drain takes it down again, and up.
func TestDrainAgain(t *testing.T) {
	b := newBench(t)
	b.containers.Problems = map[string]error{"start": errors.New("it does not start")}
	_, err := b.drain(t, drain.Request{Stop: true})
	assert.ErrorContains(t, err, "it does not start")
	b.containers.Problems = nil
	text, err := b.drain(t, drain.Request{Stop: true})
	assert.NilError(t, err)
	assert.Assert(t, strings.HasSuffix(text, "\nPool media-apps is unmounted.\nPool media-apps is mounted and well.\nStarted radarr."), text)
}

// A container whose mount was answered a moment before is found once nothing can be mounted any more; it is not stopped unasked.
func TestDrainFindsAContainerThatWasStarting(t *testing.T) {
	b := newBench(t)
	late := b.containers.Running
	b.containers.Running = nil
	b.pools.OnRefuse = func() { b.containers.Running = late }
	_, err := b.drain(t, drain.Request{})
	assert.ErrorContains(t, err, "radarr (image linuxserver/radarr) has radarr\nPool media-apps stays drained")
	assert.Equal(t, len(b.containers.Stopped), 0)
	assert.Assert(t, !b.pools.Refuses(pool, true))
	b.pools.OnRefuse = nil
	_, err = b.drain(t, drain.Request{Stop: true})
	assert.NilError(t, err)
}

// A container that comes back as soon as it is stopped is not stopped for ever.
func TestDrainGivesUpOnAContainerThatComesBack(t *testing.T) {
	b := newBench(t)
	again := b.containers.Running[0]
	b.containers.OnStop = func(string) { b.containers.Running = []drain.Container{again} }
	_, err := b.drain(t, drain.Request{Stop: true})
	assert.ErrorContains(t, err, "pool media-apps is in use on this node")
	assert.DeepEqual(t, b.containers.Stopped, []string{"c1", "c1", "c1"})
}

func TestDrainRepairsOnlyAlone(t *testing.T) {
	b := newBench(t)
	b.containers.Running = nil
	b.pools.Others = []string{"node2"}
	_, err := b.drain(t, drain.Request{Repair: true})
	assert.ErrorContains(t, err, "pool media-apps is not repaired while other nodes have it mounted: node2.")
	assert.DeepEqual(t, b.pools.Calls(), []string{"neighbours"})
	b.pools.Others = nil
	b.pools.Verdict = backend.Verdict{Command: "fsck.ocfs2 -fy /dev/sda", Count: 1, Findings: []string{"[INODE_NLINKS] Inode 5"}}
	text, err := b.drain(t, drain.Request{Repair: true})
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(text, "fsck.ocfs2 -fy /dev/sda found and repaired 1:\n  [INODE_NLINKS] Inode 5\n"), text)
}
