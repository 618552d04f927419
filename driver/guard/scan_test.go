package guard_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/guard"
)

func at(offset int, magic uint32, order binary.AppendByteOrder) string {
	return strings.Repeat("\x00", offset) + string(order.AppendUint32(nil, magic))
}

func write(t *testing.T, root, name, content string) {
	t.Helper()
	file := filepath.Join(root, name)
	assert.NilError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	assert.NilError(t, os.WriteFile(file, []byte(content), 0o600))
}

func TestScanFindsEveryFormat(t *testing.T) {
	cases := []struct {
		name, content string
		kind          guard.Kind
	}{
		{"radarr.db", "SQLite format 3\x00", guard.SQLite},
		{"logs/x/deep", "SQLite format 3\x00", guard.SQLite},
		{"a-wal", at(0, 0x377f0682, binary.BigEndian), guard.SQLiteWAL},
		{"b-wal", at(0, 0x377f0683, binary.BigEndian), guard.SQLiteWAL},
		{"a-journal", "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", guard.SQLiteJournal},
		{"portainer.db", at(16, 0xED0CDAED, binary.LittleEndian), guard.Bolt},
		{"data.mdb", at(16, 0xBEEFC0DE, binary.LittleEndian), guard.LMDB},
		{"x.duckdb", "12345678DUCK", guard.DuckDB},
		{"pg/PG_VERSION", "15\n", guard.PostgreSQL},
		{"mysql/ibdata1", "", guard.InnoDB},
		{"mysql/shop/orders.ibd", "", guard.InnoDB},
		{"WiredTiger.wt", "", guard.WiredTiger},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root, c.name, c.content)
			got, err := guard.Scan(t.Context(), root, guard.Quick())
			assert.NilError(t, err)
			assert.Equal(t, got.Found, guard.Finding{Path: c.name, Kind: c.kind})
			assert.Assert(t, got.Database())
		})
	}
}

func TestScanPassesOverWhatIsNoDatabase(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	write(t, outside, "real.db", "SQLite format 3\x00")
	write(t, root, "config.xml", "<Config/>")
	write(t, root, "Thumbs.db", "not a database, but named like one")
	write(t, root, "short", "SQ")
	write(t, root, "leveldb/MANIFEST-000001", "without CURRENT it is none")
	assert.NilError(t, os.Symlink(outside, filepath.Join(root, "link")))
	assert.NilError(t, os.Symlink(filepath.Join(outside, "real.db"), filepath.Join(root, "link.db")))
	assert.NilError(t, syscall.Mkfifo(filepath.Join(root, "pipe.db"), 0o600))
	got, err := guard.Scan(t.Context(), root, guard.Quick())
	assert.NilError(t, err)
	assert.Equal(t, got, guard.Result{Complete: true})
}

func TestScanFindsLevelDBByBothNames(t *testing.T) {
	root := t.TempDir()
	write(t, root, "state/MANIFEST-000001", "")
	write(t, root, "state/CURRENT", "MANIFEST-000001\n")
	got, err := guard.Scan(t.Context(), root, guard.Quick())
	assert.NilError(t, err)
	assert.Equal(t, got.Found.Kind, guard.LevelDB)
}

func TestScanKeepsItsBounds(t *testing.T) {
	root := t.TempDir()
	write(t, root, "a/b/c/deep.db", "SQLite format 3\x00")
	for _, limits := range []guard.Limits{
		{Depth: 2, Entries: 100, Files: 100},
		{Depth: 9, Entries: 2, Files: 100},
		{Depth: 9, Entries: 100, Files: 0},
	} {
		got, err := guard.Scan(t.Context(), root, limits)
		assert.NilError(t, err)
		assert.Equal(t, got, guard.Result{}, "%+v", limits)
	}
}

func TestScanReadsLikelyNamesFirst(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a.txt", "b.txt", "c.txt"} {
		write(t, root, name, "text")
	}
	write(t, root, "zz.sqlite3", "SQLite format 3\x00")
	got, err := guard.Scan(t.Context(), root, guard.Limits{Depth: 1, Entries: 10, Files: 1})
	assert.NilError(t, err)
	assert.Equal(t, got.Found.Path, "zz.sqlite3")
}

func TestScanReportsAMissingDirectory(t *testing.T) {
	_, err := guard.Scan(t.Context(), filepath.Join(t.TempDir(), "none"), guard.Quick())
	assert.ErrorIs(t, err, os.ErrNotExist)
}
