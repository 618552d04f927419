package driver_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// What package plan chooses is what the volume is, and what is told of it.
func TestCreateKeepsWhatWasChosen(t *testing.T) {
	for i, c := range []struct {
		options               map[string]string
		class, storage, wants string
	}{
		{nil, "db", backend.OCFS2, "exclusive"},
		{map[string]string{"class": "config"}, "config", backend.OCFS2, "until-database"},
		{map[string]string{"class": "postgres", "access": "shared"}, "postgres", backend.OCFS2, "shared"},
		{map[string]string{"device": "//nas/torrents", "class": "downloads"}, "downloads", backend.CIFS, "shared"},
		{map[string]string{"class": "cache"}, "cache", backend.Local, "shared"},
	} {
		t.Run(fmt.Sprint(c.options), func(t *testing.T) {
			b := newBench(t)
			name := fmt.Sprintf("vol%d", i)
			b.create(t, name, c.options)
			info, err := b.driver.Get(t.Context(), name)
			assert.NilError(t, err)
			assert.Equal(t, info.Status["class"], c.class)
			assert.Equal(t, info.Status["storage"], c.storage)
			assert.Equal(t, info.Status["access"], c.wants)
			assert.Equal(t, info.Mountpoint, filepath.Join(b.options.MountRoot, name))
		})
	}
}

func TestCreateRefuses(t *testing.T) {
	cases := []struct {
		name    string
		options map[string]string
		want    []string
	}{
		{"x", nil, []string{`volume name "x" is not allowed: use 2 to 128 of the characters`}},
		{"../../etc/evil", nil, []string{"not allowed"}},
		{"a/b", nil, []string{"not allowed"}},
		{"a b", nil, []string{"not allowed"}},
		{strings.Repeat("x", 300), nil, []string{"not allowed"}},
		{"x", map[string]string{"help": ""}, []string{"the options of homelab-storage (no volume was made)"}},
		{"vol", map[string]string{"help": "1"}, []string{"the options of homelab-storage (no volume was made)", "\n  subdir "}},
		{"vol", map[string]string{"class": "DB"}, []string{`volume "vol": class "DB" is unknown; did you mean db? The classes are db, library`}},
		{"vol", map[string]string{"class": "db", "type": "cifs", "device": "//nas/x"}, []string{`volume "vol": `, "SQLite on an SMB share", "docker volume create -d homelab-storage -o class=db vol"}},
	}
	for _, c := range cases {
		t.Run(c.name+fmt.Sprint(c.options), func(t *testing.T) {
			b := newBench(t)
			err := b.driver.Create(t.Context(), c.name, c.options)
			for _, want := range c.want {
				assert.ErrorContains(t, err, want)
			}
			infos, err := b.driver.List(t.Context())
			assert.NilError(t, err)
			assert.Equal(t, len(infos), 0)
		})
	}
}

// A compose file's tmpfs for driver local.
func TestCreateOfATmpfsOfDriverLocal(t *testing.T) {
	b := newBench(t)
	b.create(t, "scratch", map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "size=100m,uid=1001"})
	info, err := b.driver.Get(t.Context(), "scratch")
	assert.NilError(t, err)
	assert.Equal(t, info.Status["class"], "temp")
	assert.Equal(t, info.Status["memory_bytes"], int64(100<<20))
	b.create(t, "scratch", map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "size=100m,uid=1001"})
}

func TestCreateWithOtherOptionsIsRefused(t *testing.T) {
	b := newBench(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	assert.ErrorContains(t, b.driver.Create(t.Context(), "vol", map[string]string{"class": "data"}), "exists with other options")
}

func TestCreateRefusesDirectoriesInsideEachOther(t *testing.T) {
	b := newBench(t)
	b.create(t, "media", map[string]string{"subdir": "apps/media"})
	b.create(t, "same", map[string]string{"subdir": "apps/media"})
	assert.ErrorContains(t, b.driver.Create(t.Context(), "above", map[string]string{"subdir": "apps"}), "apps/media")
	assert.ErrorContains(t, b.driver.Create(t.Context(), "below", map[string]string{"subdir": "apps/media/x"}), "apps/media")
	b.create(t, "beside", map[string]string{"subdir": "apps/media2"})
}

func TestInlinePasswordIsNowhereToBeSeen(t *testing.T) {
	b := newBench(t)
	b.create(t, "torrents", map[string]string{"device": "//nas/torrents", "username": "media", "password": "canary"})
	info, err := b.driver.Get(t.Context(), "torrents")
	assert.NilError(t, err)
	assert.Assert(t, !strings.Contains(fmt.Sprint(info), "canary"))
	assert.DeepEqual(t, info.Status["warnings"], []string{"inline password"})
	found := 0
	for _, root := range []string{b.kernel.Temp(), b.kernel.HostPath("/")} {
		assert.NilError(t, filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			if strings.Contains(string(content), "canary") {
				found++
				assert.Assert(t, strings.Contains(path, "/credentials/"), path)
			}
			return err
		}))
	}
	assert.Assert(t, found > 0, "the password is kept in the credentials' folders")
	assert.NilError(t, b.driver.Remove(t.Context(), "torrents"))
}

// A storage that fails at the last step leaves no record behind.
func TestFailedCreateLeavesNoVolume(t *testing.T) {
	b := newBench(t)
	b.create(t, "other", nil)
	b.pool.away.Store(true)
	assert.ErrorIs(t, b.driver.Create(t.Context(), "vol", nil), backend.ErrUnavailable)
	b.pool.away.Store(false)
	b.start(t)
	infos, err := b.driver.List(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, len(infos), 1)
	assert.Equal(t, infos[0].Name, "other")
	_, err = b.driver.Get(t.Context(), "vol")
	assert.ErrorIs(t, err, driver.ErrNotFound)
}

// A refused Create takes back what it stored, and says what is wrong with the share and nothing else.
func TestFailedCreateLeavesNoPassword(t *testing.T) {
	b := newBench(t)
	b.share.refuses.Store(true)
	err := b.driver.Create(t.Context(), "torrents", map[string]string{"device": "//nas/torrents", "username": "media", "password": "canary"})
	assert.Error(t, err, `volume "torrents": wrong password`)
	assert.NilError(t, filepath.WalkDir(b.kernel.HostPath("/"), func(path string, entry os.DirEntry, err error) error {
		assert.Assert(t, !strings.Contains(entry.Name(), "volume-"), "%s is left", path)
		return err
	}))
}

// Nor does a Create whose password was stored for all nodes, but could not be copied to this one.
func TestPasswordThatIsStoredHalfIsTakenBack(t *testing.T) {
	b := newBench(t)
	b.create(t, "other", map[string]string{"class": "db"})
	copies := filepath.Join(b.kernel.HostPath(stateFolder), "credentials")
	assert.NilError(t, os.MkdirAll(filepath.Dir(copies), 0o700))
	assert.NilError(t, os.WriteFile(copies, nil, 0o600)) // nothing can be made below it
	err := b.driver.Create(t.Context(), "films", map[string]string{"device": "//nas/films", "username": "media", "password": "canary"})
	assert.ErrorContains(t, err, "storing the user name and password")
	secrets, err := os.ReadDir(filepath.Join(b.pool.proven().Private, backend.CredentialsFolder))
	assert.NilError(t, err)
	assert.Equal(t, len(secrets), 0)
}

// The way back is part of a call's time: the engine's client gives up soon after it.
func TestFailedCreateAnswersInTimeWithItsWayBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(t, "other", nil)
		b.pool.hang.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		assert.ErrorContains(t, b.driver.Create(ctx, "vol", nil), "the pool does not answer")
		assert.NilError(t, ctx.Err(), "answered too late")
		b.start(t)
		_, err := b.driver.Get(t.Context(), "vol")
		assert.ErrorIs(t, err, driver.ErrNotFound)
	})
}
