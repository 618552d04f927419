package mounter

import (
	"os"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

func parse(t *testing.T, text string) []Mount {
	t.Helper()
	table, err := ReadTable(strings.NewReader(text))
	assert.NilError(t, err)
	return table
}

func TestReadTable(t *testing.T) {
	table := parse(t, `60 26 0:50 / /mnt/iscsi/media-apps rw,relatime shared:40 - ocfs2 /dev/sda rw,heartbeat=local
61 26 0:51 /films /mnt/with\040space ro,relatime shared:41 master:7 propagate_from:3 unbindable - cifs //nas/my\040media rw
62 26 8:1 / /data rw - ext4 /dev/sda1 ro,errors=remount-ro
`)
	assert.DeepEqual(t, table, []Mount{
		{
			ID: 60, Parent: 26, Device: "0:50", Root: "/", Target: "/mnt/iscsi/media-apps", FSType: "ocfs2", Source: "/dev/sda",
			Options: "rw,relatime", SuperOptions: "rw,heartbeat=local", Peer: 40,
		},
		{
			ID: 61, Parent: 26, Device: "0:51", Root: "/films", Target: "/mnt/with space", FSType: "cifs", Source: "//nas/my media",
			ReadOnly: true, Options: "ro,relatime", SuperOptions: "rw", Peer: 41, Master: 7,
		},
		{
			ID: 62, Parent: 26, Device: "8:1", Root: "/", Target: "/data", FSType: "ext4", Source: "/dev/sda1",
			ReadOnly: true, Options: "rw", SuperOptions: "ro,errors=remount-ro",
		},
	})
}

func TestReadTableRefusesNonsense(t *testing.T) {
	for _, text := range []string{"x", "1 2 3 / / rw - a b c", "1 2 0:1 / / rw a b c d e f g"} {
		_, err := ReadTable(strings.NewReader(text))
		assert.ErrorContains(t, err, "mount table: ")
	}
}

func TestTopmostAndCovering(t *testing.T) {
	table := parse(t, `1 0 0:1 / / rw - ext4 a rw
2 1 0:2 / /a rw - ext4 lower rw
3 2 0:3 / /a rw - ext4 upper rw
4 3 0:4 / /a/b rw - ext4 inner rw
`)
	for name, want := range map[string]string{
		"/": "a", "/x": "a", "/ab": "a", "/a": "upper", "/a/c/d": "upper", "/a/b/c": "inner",
	} {
		mount, ok := coveringMount(table, name)
		assert.Assert(t, ok)
		assert.Equal(t, mount.Source, want, name)
	}
	_, ok := coveringMount(nil, "/a/b")
	assert.Assert(t, !ok)
}

func FuzzReadTable(f *testing.F) {
	own, err := os.ReadFile("/proc/self/mountinfo")
	assert.NilError(f, err)
	f.Add(string(own))
	container, err := os.ReadFile("testdata/users/binds-root.mountinfo")
	assert.NilError(f, err)
	f.Add(string(container))
	f.Add("61 26 0:51 /films /mnt/with\\040space ro shared:41 master:7 - cifs //nas/my\\040media rw\n")
	f.Fuzz(func(t *testing.T, text string) {
		table, err := ReadTable(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, mount := range table {
			if !strings.Contains(mount.Device, ":") || mount.Peer < 0 || mount.Master < 0 {
				t.Errorf("%+v", mount)
			}
			if mount.ReadOnly != (readOnly(mount.Options) || readOnly(mount.SuperOptions)) {
				t.Errorf("%+v", mount)
			}
		}
		// What reads tables ends, whatever is in them.
		places(table)
		coveringMount(table, "/mnt/volumes/x")
		findUsers([]string{"/"}, table, nil, []view{{pid: 1, table: table}})
	})
}
