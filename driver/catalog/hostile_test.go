package catalog_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
)

// text is a record's file, with some fields replaced; nil removes one.
func text(tb testing.TB, name string, replace map[string]any) []byte {
	tb.Helper()
	data, err := json.Marshal(record(name))
	assert.NilError(tb, err)
	var fields map[string]any
	assert.NilError(tb, json.Unmarshal(data, &fields))
	for key, value := range replace {
		if key, field, nested := strings.Cut(key, "."); nested {
			inner, ok := fields[key].(map[string]any)
			assert.Assert(tb, ok)
			inner[field] = value
			continue
		}
		fields[key] = value
	}
	data, err = json.Marshal(fields)
	assert.NilError(tb, err)
	return data
}

func TestParseRecordRefuses(t *testing.T) {
	for _, bad := range []struct {
		replace map[string]any
		text    string
	}{
		{map[string]any{"name": "other"}, `the record is of volume "other", but the file is that of "volume"`},
		{map[string]any{"version": 0}, "version 0"},
		{map[string]any{"colour": "red"}, `unknown field "colour"`},
		{map[string]any{"id": "1234"}, "32 lower-case hexadecimal digits"},
		{map[string]any{"state": "broken"}, "creating, ready or removing"},
		{map[string]any{"created_at": "yesterday"}, "yesterday"},
		{map[string]any{"location.kind": "nfs"}, `ocfs2, cifs or local, not "nfs"`},
		{map[string]any{"location.subdir": "../x"}, `"../x"`},
		{map[string]any{"location.subdir": "a/../../x"}, `"a/../../x"`},
		{map[string]any{"location.subdir": "/etc"}, `"/etc"`},
		{map[string]any{"location.subdir": "."}, `"."`},
		{map[string]any{"location.subdir": ".homelab-storage/catalog"}, "outside of .homelab-storage"},
		{map[string]any{"location.subdir": "a\nb"}, `"a\nb"`},
		{map[string]any{"location.pool_uuid": "../../x"}, "32 upper-case"},
		{map[string]any{"location.pool": "../x"}, "the pool's name"},
		{map[string]any{"location.device": "/dev/sda"}, "//server/share"},
		{map[string]any{"location.device": "//nas/share/../x"}, `without ".."`},
		{map[string]any{"location.credentials": "../../etc/shadow"}, "the credentials' name"},
		{map[string]any{"location.mount_options": []string{"a\x00b"}}, "the mount options"},
		{map[string]any{"location.mode": 1 << 31}, "the mode is"},
		{map[string]any{"location.size": -1}, "the size is"},
		{map[string]any{"options": map[string]string{"o": strings.Repeat("x", catalog.MaxRecord)}}, "at most 65536 are read"},
	} {
		_, err := catalog.ParseRecord("volume", text(t, "volume", bad.replace))
		assert.ErrorIs(t, err, catalog.ErrInvalid)
		assert.ErrorContains(t, err, bad.text)
	}
	_, err := catalog.ParseRecord("volume", append(text(t, "volume", nil), text(t, "volume", nil)...))
	assert.ErrorIs(t, err, catalog.ErrInvalid)
	_, err = catalog.ParseRecord("volume", text(t, "volume", nil))
	assert.NilError(t, err)
}

// TestDamagedRecordsHideNoOther puts every kind of bad file into the folder of records.
func TestDamagedRecordsHideNoOther(t *testing.T) {
	shared := sharedFolder(t)
	newNode(t, shared).put(t, record("good"))
	volumes := filepath.Join(shared, "volumes")
	write := func(file string, data []byte) {
		assert.NilError(t, os.WriteFile(filepath.Join(volumes, file), data, 0o600))
	}
	whole := text(t, "torn", nil)
	write("torn.json", whole[:len(whole)/2])
	write("empty.json", nil)
	write("misnamed.json", text(t, "other", nil))
	write("escape.json", text(t, "escape", map[string]any{"location.subdir": "../../etc"}))
	write("large.json", []byte(strings.Repeat("x", catalog.MaxRecord+1)))
	write("...json", []byte("{}"))
	write("editor.json~", []byte("{}"))
	assert.NilError(t, os.Symlink("good.json", filepath.Join(volumes, "link.json")))
	assert.NilError(t, os.Mkdir(filepath.Join(volumes, "folder.json"), 0o700))

	n := newNode(t, shared)
	assert.DeepEqual(t, n.names(), []string{"good"})
	assert.Equal(t, len(n.Trouble()), 9)
	left, err := os.ReadDir(volumes)
	assert.NilError(t, err)
	assert.Equal(t, len(left), 1)
	damaged, err := os.ReadDir(filepath.Join(shared, "damaged"))
	assert.NilError(t, err)
	assert.Equal(t, len(damaged), 9)

	_, err = n.Put(t.Context(), record("torn"))
	assert.ErrorIs(t, err, catalog.ErrDamaged)
	assert.Error(t, err, "the record of the name is damaged: the record of volume torn was set aside as "+shared+"/damaged/torn.json.1; "+
		"put it right and move it back to "+shared+"/volumes/torn.json, or delete it, then create the volume again")
	assert.NilError(t, os.Remove(filepath.Join(shared, "damaged", "torn.json.1")))
	n.put(t, record("torn"))
	assert.NilError(t, n.Scan(t.Context()))
	assert.Equal(t, len(n.Trouble()), 8)
}

// TestDamageOfAKnownRecord: this node's copy goes on, nobody else gets the name, and restore writes it back.
func TestDamageOfAKnownRecord(t *testing.T) {
	for _, damage := range []func(file string) error{
		os.Remove,
		func(file string) error { return os.WriteFile(file, []byte("{"), 0o600) },
	} {
		shared := sharedFolder(t)
		n := newNode(t, shared)
		made := n.put(t, record("known"))
		assert.NilError(t, damage(filepath.Join(shared, "volumes", "known.json")))
		assert.NilError(t, n.Scan(t.Context()))
		assert.DeepEqual(t, n.names(), []string{"known"})
		assert.Equal(t, len(n.Trouble()), 1)
		_, err := n.Put(t.Context(), record("known"))
		assert.ErrorIs(t, err, catalog.ErrExists)
		written, err := n.Restore(t.Context())
		assert.NilError(t, err)
		assert.Equal(t, written, 1)
		got, has := newNode(t, shared).Get("known")
		assert.Assert(t, has)
		assert.Equal(t, got.ID, made.ID)
	}
}

// TestNewerVersions: a record that parses is used and not rewritten; one that does not is left where it is.
func TestNewerVersions(t *testing.T) {
	shared := sharedFolder(t)
	newNode(t, shared).put(t, record("good"))
	volumes := filepath.Join(shared, "volumes")
	newer := text(t, "newer", map[string]any{"version": 2, "colour": "red"})
	strange := text(t, "strange", map[string]any{"version": 2, "location.kind": "nfs"})
	assert.NilError(t, os.WriteFile(filepath.Join(volumes, "newer.json"), newer, 0o600))
	assert.NilError(t, os.WriteFile(filepath.Join(volumes, "strange.json"), strange, 0o600))

	n := newNode(t, shared)
	assert.DeepEqual(t, n.names(), []string{"good", "newer"})
	problems := n.Trouble()
	assert.Equal(t, len(problems), 1)
	assert.Equal(t, problems[0].Name, "strange")
	assert.Assert(t, cmp.Contains(problems[0].Text, "upgrade the plugin on this node"))
	got, _ := n.Get("newer")
	_, err := n.Put(t.Context(), got)
	assert.ErrorContains(t, err, "upgrade the plugin on this node")
	_, err = n.Put(t.Context(), record("strange"))
	assert.ErrorContains(t, err, "upgrade the plugin on this node")
	_, err = n.Restore(t.Context())
	assert.NilError(t, err)
	for file, want := range map[string][]byte{"newer.json": newer, "strange.json": strange} {
		data, err := os.ReadFile(filepath.Join(volumes, file))
		assert.NilError(t, err)
		assert.Equal(t, string(data), string(want))
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add("volume", text(f, "volume", nil))
	f.Add("volume", text(f, "volume", map[string]any{"location.subdir": "../x"}))
	f.Add("volume", text(f, "volume", map[string]any{"version": 9, "new": []int{1}}))
	f.Add("volume", []byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		record, err := catalog.ParseRecord(name, data)
		if err != nil {
			return
		}
		subdir := "/" + record.Location.Subdir + "/"
		if record.Name != name || !catalog.ValidName(name) || strings.Contains(subdir, "/../") || strings.HasPrefix(subdir, "//") && subdir != "//" {
			t.Fatalf("accepted %q as %q with the sub-directory %q", data, name, record.Location.Subdir)
		}
		again, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := catalog.ParseRecord(name, again); err != nil && len(again) <= catalog.MaxRecord && record.Version == 1 {
			t.Fatalf("its own text is refused: %v", err)
		}
	})
}
