package plan_test

import (
	"fmt"
	"io/fs"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/class"
	"github.com/homelab-storage/homelab-storage/driver/option"
	"github.com/homelab-storage/homelab-storage/driver/plan"
	"github.com/homelab-storage/homelab-storage/driver/settings"
)

// choose is for the volume "vol", where the operator has a class of his own.
func choose(t *testing.T, options map[string]string) (plan.Choice, error) {
	t.Helper()
	set, err := option.Parse(options)
	assert.NilError(t, err)
	uid, mode := uint32(999), fs.FileMode(0o700)
	return plan.Choose("vol", set, &settings.Settings{
		Defaults: settings.Initial(), Classes: map[string]settings.Class{"postgres": {Like: "db", UID: &uid, Mode: &mode}},
	})
}

func TestChooseByClassAndOptions(t *testing.T) {
	for _, c := range []struct {
		options     map[string]string
		class, kind string
		access      class.Access
	}{
		{nil, "db", backend.OCFS2, class.Exclusive},
		{map[string]string{"class": "config"}, "config", backend.OCFS2, class.Guarded},
		{map[string]string{"class": "config", "sqlite": "true"}, "config", backend.OCFS2, class.Exclusive},
		{map[string]string{"class": "config", "sqlite": "false"}, "config", backend.OCFS2, class.Guarded},
		{map[string]string{"class": "db", "access": "shared"}, "db", backend.OCFS2, class.Shared},
		{map[string]string{"class": "db", "access": "shared", "sqlite": "true"}, "db", backend.OCFS2, class.Shared},
		{map[string]string{"class": "postgres"}, "postgres", backend.OCFS2, class.Exclusive},
		{map[string]string{"pool": "media-apps"}, "db", backend.OCFS2, class.Exclusive},
		{map[string]string{"type": "none", "o": "bind", "device": "/mnt/iscsi/media-apps/radarr"}, "db", backend.OCFS2, class.Exclusive},
		{map[string]string{"o": "bind", "device": "/mnt/iscsi/media-apps/radarr"}, "db", backend.OCFS2, class.Exclusive},
		{map[string]string{"type": "none", "o": "rw,rbind", "device": "/mnt/iscsi/media-apps/radarr"}, "db", backend.OCFS2, class.Exclusive},
		{map[string]string{"type": "cifs", "o": "username=a", "device": "//nas/torrents"}, "media", backend.CIFS, class.Shared},
		{map[string]string{"device": "//nas/torrents"}, "media", backend.CIFS, class.Shared},
		{map[string]string{"device": `\\nas\torrents`}, "media", backend.CIFS, class.Shared},
		{map[string]string{"share": "torrents"}, "media", backend.CIFS, class.Shared},
		{map[string]string{"device": "//nas/torrents", "class": "downloads", "sqlite": "false"}, "downloads", backend.CIFS, class.Shared},
		{map[string]string{"type": "local"}, "cache", backend.Local, class.Shared},
		{map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "size=100m"}, "temp", backend.Local, class.Shared},
	} {
		t.Run(fmt.Sprint(c.options), func(t *testing.T) {
			chosen, err := choose(t, c.options)
			assert.NilError(t, err)
			assert.Equal(t, chosen.Class.Name, c.class)
			assert.Equal(t, chosen.Class.Kind, c.kind)
			assert.Equal(t, chosen.Request.Location.Kind, c.kind)
			assert.Equal(t, chosen.Access, c.access)
		})
	}
}

// Owner and mode come from the options, else from the operator's class, else from the defaults.
func TestChooseTheOwner(t *testing.T) {
	for _, c := range []struct {
		options  map[string]string
		uid, gid uint32
		mode     fs.FileMode
	}{
		{nil, 1000, 1000, 0o770},
		{map[string]string{"class": "postgres"}, 999, 1000, 0o700},
		{map[string]string{"class": "postgres", "uid": "0", "gid": "7", "mode": "0750"}, 0, 7, 0o750},
	} {
		chosen, err := choose(t, c.options)
		assert.NilError(t, err)
		location := chosen.Request.Location
		assert.Equal(t, location.UID, c.uid, "%v", c.options)
		assert.Equal(t, location.GID, c.gid, "%v", c.options)
		assert.Equal(t, location.Mode, c.mode, "%v", c.options)
	}
}

func TestChooseRefuses(t *testing.T) {
	for _, c := range []struct {
		options map[string]string
		want    []string
	}{
		{map[string]string{"class": "dbase"}, []string{`class "dbase" is unknown; the classes are db, library, config, data, backup, media, downloads, cache, temp, postgres`}},
		{map[string]string{"class": "DB"}, []string{`class "DB" is unknown; did you mean db? The classes are db, library`}},
		{map[string]string{"class": "db", "type": "cifs", "device": "//nas/x"}, []string{"class db is for databases", "SQLite on an SMB share", "docker volume create -d homelab-storage -o class=db vol"}},
		{map[string]string{"sqlite": "true", "device": "//nas/x"}, []string{"sqlite=true is for databases"}},
		{map[string]string{"sqlite": "true", "class": "media"}, []string{"sqlite=true is for databases"}},
		{map[string]string{"sqlite": "true", "class": "cache"}, []string{"a database there is lost; write -o class=db"}},
		{map[string]string{"class": "media", "pool": "media-apps"}, []string{"class media is stored on cifs, but the options ask for ocfs2; write -o class=db, or leave out pool", "option pool belongs to ocfs2 storage"}},
		{map[string]string{"class": "db", "size": "1g"}, []string{"option size belongs to local storage, but class db is stored on ocfs2"}},
		{map[string]string{"class": "cache", "size": "1g"}, []string{"option size belongs to class temp"}},
		{map[string]string{"class": "db", "username": "u", "guard": "warn"}, []string{"option username belongs to cifs storage", "option guard belongs to cifs storage"}},
		{map[string]string{"class": "backup", "subdir": "x"}, []string{"option subdir has no meaning for class backup"}},
		{map[string]string{"class": "backup", "uid": "0", "access": "exclusive", "from": "trash/x"}, []string{"option uid has no meaning for class backup", "option access has", "option from has"}},
		{map[string]string{"class": "backup", "ro": "false"}, []string{"class backup is a read-only view of a whole pool: for data to write to choose another class"}},
		{map[string]string{"class": "backup", "sqlite": "true"}, []string{"for a database -o class=db"}},
		{map[string]string{"class": "cache", "type": "tmpfs"}, []string{"options class=cache and type=tmpfs contradict each other: a tmpfs is class temp"}},
	} {
		t.Run(fmt.Sprint(c.options), func(t *testing.T) {
			_, err := choose(t, c.options)
			for _, want := range c.want {
				assert.ErrorContains(t, err, want)
			}
		})
	}
}
