package mounter

import (
	"os"
	"testing"

	"gotest.tools/v3/assert"
)

// recorded reads a mount table as a Docker 20.10 host shows it (measured; trimmed to what matters): "service" is a unit with
// PrivateTmp, "binds-root" is docker run -v /:/host with private propagation, "binds-parent" is -v /mnt:/media.
func recorded(t *testing.T, name string) []Mount {
	t.Helper()
	file, err := os.Open("testdata/users/" + name + ".mountinfo")
	assert.NilError(t, err)
	defer func() { assert.NilError(t, file.Close()) }()
	table, err := ReadTable(file)
	assert.NilError(t, err)
	return table
}

func TestFindUsers(t *testing.T) {
	const radarr, backup = "/mnt/volumes/radarr", "/mnt/volumes/backup"
	tests := map[string]map[string]string{ // recorded table -> target -> where it is seen
		"container":         {radarr: "/config"},
		"container-private": {radarr: "/config"},
		"backup":            {backup: "/mnt/iscsi/media-apps"}, // at the pool's own path
		"subpath":           {radarr: "/backups"},
		"other-volume":      {},
		"service":           {},
		"binds-root":        {},
		"binds-parent":      {},
		"removed-folders":   {},
		"host":              {},
	}
	own, host := recorded(t, "plugin"), recorded(t, "host")
	for name, seenAt := range tests {
		t.Run(name, func(t *testing.T) {
			others := []view{{pid: 7, name: "app", table: recorded(t, name)}}
			users := findUsers([]string{radarr, backup, "/mnt/volumes/not-mounted"}, own, host, others)
			want := map[string][]User{}
			for target, seen := range seenAt {
				want[target] = []User{{PID: 7, Name: "app", Target: seen}}
			}
			assert.DeepEqual(t, users, want)
		})
	}
}

func TestFindUsersOnAHostWithoutPropagation(t *testing.T) {
	private := func(name string) []Mount {
		table := recorded(t, name)
		for index := range table {
			table[index].Peer, table[index].Master = 0, 0
		}
		return table
	}
	own := private("host") // a plain daemon
	target := "/var/lib/docker/plugins/abc/propagated-mount/backup"
	users := findUsers([]string{target}, own, own, []view{
		{pid: 7, table: private("binds-root")}, {pid: 8, table: private("backup")}, {pid: 9, table: private("service")},
	})
	assert.DeepEqual(t, users, map[string][]User{target: {{PID: 8, Target: "/mnt/iscsi/media-apps"}}})
}
