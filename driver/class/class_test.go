package class_test

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/class"
	"github.com/homelab-storage/homelab-storage/driver/settings"
)

// The decision matrix, row by row.
func TestTheMatrix(t *testing.T) {
	cases := map[string]string{
		"db": backend.OCFS2, "config": backend.OCFS2, "data": backend.OCFS2, "backup": backend.OCFS2, "library": backend.OCFS2,
		"media": backend.CIFS, "downloads": backend.CIFS, "temp": backend.Local, "cache": backend.Local,
	}
	assert.Equal(t, len(class.Table()), len(cases))
	for name, kind := range cases {
		row, err := class.Find(name, nil)
		assert.NilError(t, err)
		assert.Equal(t, row.Kind, kind, name)
		assert.Assert(t, row.For != "", name)
		assert.Assert(t, !row.Database || row.Kind == backend.OCFS2, "%s: a database is never on SMB", name)
	}
}

func TestAnOperatorsClassIsLikeABuiltInOne(t *testing.T) {
	uid := uint32(999)
	custom := map[string]settings.Class{"postgres": {Like: "db", UID: &uid}, "broken": {Like: "postgres"}}
	row, err := class.Find("postgres", custom)
	assert.NilError(t, err)
	assert.Equal(t, row.Name, "postgres")
	assert.Equal(t, row.Access, class.Exclusive)
	assert.Equal(t, *row.UID, uid)
	_, err = class.Find("broken", custom)
	assert.ErrorContains(t, err, `class "broken" of the configuration is like "postgres", which is not a built-in class`)
	for name, near := range map[string]string{"DB": "db", "dbb": "db", "Postgre": "postgres", "download": "downloads"} {
		_, err = class.Find(name, custom)
		assert.ErrorContains(t, err, "is unknown; did you mean "+near+"? The classes are db, library, config")
	}
	_, err = class.Find("tv", custom)
	assert.Error(t, err, `class "tv" is unknown; the classes are db, library, config, data, backup, media, downloads, cache, temp, broken, postgres`)
}

func TestWithoutAClassDataIsSafest(t *testing.T) {
	assert.Equal(t, class.Default(backend.OCFS2).Access, class.Exclusive)
	assert.Equal(t, class.Default(backend.CIFS).Name, "media")
	assert.Equal(t, class.Default(backend.Local).Name, "cache")
}
