package ocfs2_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

func TestCreateAndStage(t *testing.T) {
	b := mountedBench(t)
	v := volume("radarr_config", "apps/radarr")
	v.Location.PoolUUID = ""
	v = create(t, b, v)
	assert.Equal(t, v.Location.PoolUUID, uuid)
	assert.Assert(t, !v.Location.Adopted)
	info, err := os.Stat(b.path("apps/radarr"))
	assert.NilError(t, err)
	assert.Equal(t, info.Mode(), fs.ModeDir|0o770)
	info, err = os.Stat(b.path(".homelab-storage"))
	assert.NilError(t, err)
	assert.Equal(t, info.Mode(), fs.ModeDir|0o700)
	staged, err := b.backend.Stage(t.Context(), v)
	assert.NilError(t, err)
	facts, err := b.kernel.Filesystem(t.Context(), staged.Base)
	assert.NilError(t, err)
	assert.DeepEqual(t, staged, backend.Staged{
		Base: mounter.Place{Side: mounter.Host, Path: poolPath}, Device: facts.Device, Subdir: "apps/radarr",
		Pool: &backend.Pool{Name: "media-apps", UUID: uuid, Path: poolPath, Private: b.path(".homelab-storage")},
	})
	assert.Equal(t, len(b.kernel.Actions(mountertest.OpRun)), 0, "no program for a mounted pool")
	assert.Equal(t, create(t, b, v).Location.Adopted, false, "repeated")
}

func TestAdoptedDirectoryIsLeftAlone(t *testing.T) {
	b := mountedBench(t)
	assert.NilError(t, os.MkdirAll(b.path("radarr"), 0o711))
	assert.NilError(t, os.WriteFile(b.path("radarr/db"), []byte("x"), 0o600))
	v := volume("radarr", "radarr")
	v.Location.UID, v.Location.Mode = 4242, 0o777
	for range 2 {
		v = create(t, b, v)
		assert.Assert(t, v.Location.Adopted)
	}
	info, err := os.Stat(b.path("radarr"))
	assert.NilError(t, err)
	assert.Equal(t, info.Mode().Perm(), fs.FileMode(0o711))
	for range 2 {
		assert.NilError(t, b.backend.Remove(t.Context(), v))
	}
	_, err = os.Stat(b.path("radarr/db"))
	assert.NilError(t, err)
	trash, err := b.backend.TrashList(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.Equal(t, len(trash), 0)
}

// An empty directory in the place of the volume's is no volume; one with data was put there by somebody.
func TestReplacedDirectory(t *testing.T) {
	for _, adopted := range []bool{false, true} {
		t.Run(fmt.Sprintf("adopted %v", adopted), func(t *testing.T) {
			b := mountedBench(t)
			if adopted {
				assert.NilError(t, os.Mkdir(b.path("radarr"), 0o770))
			}
			v := create(t, b, volume("radarr", "radarr"))
			assert.Equal(t, v.Location.Adopted, adopted)
			_, err := b.backend.Stage(t.Context(), v)
			assert.NilError(t, err, "an empty volume is no other directory")
			assert.NilError(t, os.Rename(b.path("radarr"), b.path("elsewhere")))
			assert.NilError(t, os.Mkdir(b.path("radarr"), 0o770))
			_, err = b.backend.Stage(t.Context(), v)
			assert.ErrorContains(t, err, "of volume radarr on pool media-apps was replaced by an empty one: bring its data back into it")
			assert.NilError(t, os.WriteFile(b.path("radarr/radarr.db"), []byte("from a backup"), 0o600))
			_, err = b.backend.Stage(t.Context(), v)
			assert.NilError(t, err)
		})
	}
}

func TestWholePool(t *testing.T) {
	b := mountedBench(t)
	v := volume("backup", "")
	v.Location.Whole = true
	v = create(t, b, v)
	staged, err := b.backend.Stage(t.Context(), v)
	assert.NilError(t, err)
	assert.Assert(t, staged.ReadOnly)
	assert.DeepEqual(t, staged.Mask, []string{".homelab-storage"})
	assert.NilError(t, b.backend.Remove(t.Context(), v))
	_, err = os.Stat(b.path(".homelab-storage/pool.json"))
	assert.NilError(t, err)
}

func TestStandalone(t *testing.T) {
	b := newBench(t)
	b.settings.Pools, b.settings.Standalone = nil, true
	request := backend.Request{Name: "db", Location: volume("db", "").Location}
	request.Location.Pool = ""
	plan, err := b.backend.Plan(t.Context(), request)
	assert.NilError(t, err)
	assert.Assert(t, plan.Location.Standalone)
	assert.ErrorContains(t, errors.New(plan.Warnings[0]), "this node only")
	plan.Location.PoolUUID = ""
	v := create(t, b, backend.Volume{ID: id, Name: "db", Location: plan.Location})
	assert.Equal(t, len(v.Location.PoolUUID), 32)
	b.settings.Standalone = false // its volumes stay valid
	staged, err := b.backend.Stage(t.Context(), v)
	assert.NilError(t, err)
	assert.Assert(t, staged.Pool.Standalone)
	folder := filepath.Join(b.kernel.HostPath("/var/lib/homelab-storage"), "local/standalone")
	_, err = os.Stat(filepath.Join(folder, "db"))
	assert.NilError(t, err)
	b.kernel.MountHost("/var/lib/homelab-storage/local/standalone", mountertest.FileSystem{Type: "ext4", Source: "/dev/sdx"})
	_, err = b.backend.Stage(t.Context(), v)
	assert.ErrorContains(t, err, "has no marker")
}

// A crash at any durable step of Create or Remove, and then the same call again, comes to the same end.
func TestCrashAtEveryStep(t *testing.T) {
	crash := errors.New("crash")
	steps, points := 0, 0
	failAt := 0
	fault := func(string, string) error {
		if steps++; failAt > 0 && steps >= failAt {
			return crash
		}
		return nil
	}
	for _, existed := range []bool{false, true} {
		for failAt = 1; ; failAt++ {
			b := mountedBench(t, durable.WithFault(fault))
			if existed {
				assert.NilError(t, os.MkdirAll(b.path("a/b"), 0o711))
			}
			v := volume("v", "a/b")
			wanted := failAt
			steps = 0
			_, err := b.backend.Create(t.Context(), v, false)
			failed := err != nil
			failAt = 0
			location, err := b.backend.Create(t.Context(), v, true)
			assert.NilError(t, err)
			assert.Equal(t, location.Adopted, existed)
			v.Location = location
			steps, failAt = 0, wanted
			failed = b.backend.Remove(t.Context(), v) != nil || failed
			failAt = 0
			assert.NilError(t, b.backend.Remove(t.Context(), v))
			_, err = os.Stat(b.path("a/b"))
			assert.Equal(t, err == nil, existed)
			trash, err := b.backend.TrashList(t.Context(), "media-apps")
			assert.NilError(t, err)
			assert.Equal(t, len(trash) == 1, !existed)
			failAt = wanted
			if !failed {
				break
			}
			points++
		}
	}
	assert.Assert(t, points > 10, points)
	t.Logf("measured: %d crashes", points)
}

// A directory that is exchanged for a link is refused by every call, and nothing happens where it points.
func TestLinksAreRefused(t *testing.T) {
	b := mountedBench(t)
	v := create(t, b, volume("radarr", "apps/radarr"))
	outside := t.TempDir()
	assert.NilError(t, os.WriteFile(filepath.Join(outside, "precious"), nil, 0o600))
	for _, link := range []string{"apps", "apps/radarr"} {
		assert.NilError(t, os.Rename(b.path(link), b.path("aside")))
		assert.NilError(t, os.Symlink(outside, b.path(link)))
		_, err := b.backend.Stage(t.Context(), v)
		assert.ErrorContains(t, err, `"`+link+`" is a symbolic link`)
		assert.ErrorContains(t, b.backend.Remove(t.Context(), v), "is a symbolic link")
		_, err = b.backend.Create(t.Context(), v, true)
		assert.ErrorContains(t, err, "is a symbolic link")
		assert.NilError(t, os.Remove(b.path(link)))
		assert.NilError(t, os.Rename(b.path("aside"), b.path(link)))
	}
	entries, err := os.ReadDir(outside)
	assert.NilError(t, err)
	assert.Equal(t, len(entries), 1)
	_, err = b.backend.Stage(t.Context(), v)
	assert.NilError(t, err)
}

func TestHostileRecords(t *testing.T) {
	b := mountedBench(t)
	for _, subdir := range []string{"../etc", "", ".homelab-storage", ".homelab-storage/catalog", "/etc", "a//b", "a/."} {
		_, err := b.backend.Stage(t.Context(), volume("v", subdir))
		assert.ErrorContains(t, err, "record is not usable", subdir)
		assert.ErrorContains(t, b.backend.Remove(t.Context(), volume("v", subdir)), "record is not usable")
	}
	hostile := volume("v", "v")
	hostile.ID = "../x"
	_, err := b.backend.Create(t.Context(), hostile, false)
	assert.ErrorContains(t, err, "32 hexadecimal digits")
}

func TestStatusWarnsOfLowSpace(t *testing.T) {
	b := newBench(t)
	full := disk()
	full.Size, full.Available = 100<<30, 9<<30
	b.kernel.MountHost(poolPath, full)
	v := create(t, b, volume("v", "v"))
	warning, ok := b.backend.Status(v)["warning"].(string)
	assert.Assert(t, ok)
	assert.Equal(t, warning, "pool media-apps has only 9GiB of 100GiB left: delete data, or empty its trash (docker homelab trash empty)")
	report := b.backend.Report()
	assert.Equal(t, report[0]["healthy"], true)
	assert.Equal(t, report[1]["healthy"], false)
	assert.Assert(t, strings.HasPrefix(report[0]["warning"].(string), "pool media-apps"))
}

// The price of a proof: with a config volume's Mount under a millisecond, it must be far below that.
func BenchmarkStage(b *testing.B) {
	bench := mountedBench(b)
	v := create(b, bench, volume("v", "v"))
	for b.Loop() {
		if _, err := bench.backend.Stage(b.Context(), v); err != nil {
			b.Fatal(err)
		}
	}
}
