//go:build integration

package integration

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/standin"
)

func TestAVolumeIsInspectedAndListed(t *testing.T) {
	e := plugged(t)
	before := time.Now().Add(-time.Minute)
	name := volume(t, e, "")
	var volumes []struct {
		Name, Driver, Mountpoint, CreatedAt, Scope string
		Options                                    map[string]string
	}
	assert.NilError(t, json.Unmarshal([]byte(ok(t, e, "volume", "inspect", name)), &volumes))
	assert.Equal(t, len(volumes), 1)
	v := volumes[0]
	assert.Equal(t, v.Name, name)
	assert.Equal(t, v.Driver, driver)
	assert.Equal(t, v.Scope, "global")
	assert.Equal(t, v.Options["class"], "db")
	// A path outside propagatedMount would be the host's or the plugin's own folder (FACTS 1).
	assert.Equal(t, path.Base(v.Mountpoint), name)
	parent := path.Base(path.Dir(v.Mountpoint)) // in the plugin, and as the engine sees it
	assert.Assert(t, parent == "volumes" || parent == "propagated-mount", v.Mountpoint)
	created, err := time.Parse(time.RFC3339, v.CreatedAt) // another format fails the engine's whole list (FACTS 1)
	assert.NilError(t, err)
	assert.Assert(t, created.After(before) && created.Before(time.Now().Add(time.Minute)), "created %s", created)

	list := strings.Fields(ok(t, e, "volume", "ls", "--filter", "driver="+driver, "--format", "{{.Name}}"))
	assert.Assert(t, slices.Contains(list, name), "%v", list)
}

func TestADatabaseOutlivesItsContainer(t *testing.T) {
	e := plugged(t)
	name := volume(t, e, "")
	shell(t, e, name, `sqlite3 /data/app.db "create table t(n); insert into t values(1),(2)"`)
	assert.Equal(t, shell(t, e, name, rows), "2")
	_, err := os.Stat(e.Path(standalone, name, "app.db"))
	assert.NilError(t, err)
	unmounted(t, e, name)
}

func TestANewDirectoryHasTheDefaultOwner(t *testing.T) {
	e := plugged(t)
	name := volume(t, e, "")
	assert.Equal(t, shell(t, e, name, "stat -c %u:%g:%a /data"), "1000:1000:770")
	other := volume(t, e, "-postgres", "class=db", "uid=999", "gid=998", "mode=0700")
	assert.Equal(t, shell(t, e, other, "stat -c %u:%g:%a /data"), "999:998:700")
}

func TestTwoContainersShareOneVolume(t *testing.T) {
	e := plugged(t)
	name := volume(t, e, "")
	first := sleeper(t, e, name)
	assert.Equal(t, shell(t, e, name, "echo hello >/data/greeting; cat /data/greeting"), "hello")
	// The end of the second container must not take the first one's mount.
	assert.Equal(t, ok(t, e, "exec", first, "cat", "/data/greeting"), "hello")
	assert.Equal(t, len(mountpoints(t, e, name)), 1)
	ok(t, e, "rm", "--force", first)
	unmounted(t, e, name)
}

func TestCopyLeavesAVolumeInUseAlone(t *testing.T) {
	e := plugged(t)
	name := volume(t, e, "")
	container := sleeper(t, e, name)
	file := filepath.Join(t.TempDir(), "file")
	assert.NilError(t, os.WriteFile(file, []byte("copied"), 0o600))
	ok(t, e, "cp", file, container+":/data/file")
	ok(t, e, "cp", container+":/data/file", file+".back")
	back, err := os.ReadFile(file + ".back")
	assert.NilError(t, err)
	assert.Equal(t, string(back), "copied")
	// Mount and Unmount of a copy carry the running container's own ID (FACTS 1): the container's mount has to stay.
	assert.Equal(t, len(mountpoints(t, e, name)), 1)
	assert.Equal(t, ok(t, e, "exec", container, "sh", "-c", "echo more >>/data/file; wc -c </data/file"), "11")
	ok(t, e, "stop", container)
	unmounted(t, e, name)
	ok(t, e, "cp", container+":/data/file", file+".stopped")
	unmounted(t, e, name)
}

func TestAContainerRestartsWithItsVolume(t *testing.T) {
	e := plugged(t)
	name := volume(t, e, "")
	container := sleeper(t, e, name)
	ok(t, e, "exec", container, "sh", "-c", "echo kept >/data/file")
	ok(t, e, "restart", container)
	assert.Equal(t, ok(t, e, "exec", container, "cat", "/data/file"), "kept")
	assert.Equal(t, len(mountpoints(t, e, name)), 1)
	ok(t, e, "kill", container)
	unmounted(t, e, name)
}

func TestAReadOnlyVolumeRefusesWrites(t *testing.T) {
	e := plugged(t)
	name := volume(t, e, "")
	shell(t, e, name, "echo kept >/data/file")
	mount := name + ":/data:ro"
	text := refused(t, e, "run", "--rm", "--volume", mount, standin.Name, "sh", "-c", "echo x >/data/file")
	assert.Assert(t, strings.Contains(text, "Read-only file system"), text)
	assert.Equal(t, ok(t, e, "run", "--rm", "--volume", mount, standin.Name, "cat", "/data/file"), "kept")
	// The volume itself is not read-only for the next one.
	shell(t, e, name, "echo x >/data/file")
}

// The engine copies the image's folder into an empty volume, and its owner and mode with it, unless told not to (D6).
func TestCopyUpHappensUnlessRefused(t *testing.T) {
	e := plugged(t)
	list := []string{standin.Name, "sh", "-c", "ls /seeded; stat -c %u:%g:%a /seeded"}
	for _, test := range []struct{ suffix, flag, want string }{
		{"-copied", "", "from-image\n1000:1000:750"},
		{"-nocopy", ":nocopy", "1000:1000:770"},
	} {
		t.Run(test.suffix[1:], func(t *testing.T) {
			name := volume(t, e, test.suffix)
			args := []string{"run", "--rm", "--volume", name + ":/seeded" + test.flag}
			assert.Equal(t, ok(t, e, append(args, list...)...), test.want)
			unmounted(t, e, name)
		})
	}
}

func TestAVolumeInUseIsNotRemoved(t *testing.T) {
	e := plugged(t)
	name := volume(t, e, "")
	container := sleeper(t, e, name)
	text := refused(t, e, "volume", "rm", name)
	assert.Assert(t, strings.Contains(text, "in use"), text)
	assert.NilError(t, running(t, e, container))
	ok(t, e, "rm", "--force", container)
	ok(t, e, "volume", "rm", name)
	assert.Assert(t, strings.Contains(refused(t, e, "volume", "inspect", name), "no such volume"))
}

func TestRemovedDataIsInTheTrash(t *testing.T) {
	e := plugged(t)
	name := volume(t, e, "")
	shell(t, e, name, "echo precious >/data/file")
	ok(t, e, "volume", "rm", name)
	_, err := os.Stat(e.Path(standalone, name))
	assert.ErrorIs(t, err, os.ErrNotExist)
	kept, err := filepath.Glob(e.Path(standalone, ".homelab-storage", "trash", "*"+name+"*"))
	assert.NilError(t, err)
	assert.Equal(t, len(kept), 1, "%v", kept)
	found, err := filepath.Glob(filepath.Join(kept[0], "file"))
	assert.NilError(t, err)
	if len(found) == 0 { // the data may lie one folder deeper, beside its record
		found, err = filepath.Glob(filepath.Join(kept[0], "*", "file"))
		assert.NilError(t, err)
	}
	assert.Equal(t, len(found), 1)
	text, err := os.ReadFile(found[0])
	assert.NilError(t, err)
	assert.Equal(t, string(text), "precious\n")
}

// `volume prune` never touches a plugin's volumes (FACTS 1).
func TestPruneSparesOurVolumes(t *testing.T) {
	e := plugged(t)
	name := volume(t, e, "")
	shell(t, e, name, "echo kept >/data/file")
	ok(t, e, "volume", "prune", "--force")
	assert.Equal(t, shell(t, e, name, "cat /data/file"), "kept")
}
