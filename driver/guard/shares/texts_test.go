package shares_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
)

// A shell takes the commands as they are written, whatever the names: a database in a folder is moved with its folder, one at the top
// of a volume with what belongs to it.
func TestTextsHaveTheCommands(t *testing.T) {
	for _, test := range []struct{ name, content, shown, moved, command string }{
		{"app.db", sqlite, "app.db", "it", "sh -c 'cp -a /from/app.db* /to/'"},
		{"app.db-journal", "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", "app.db-journal", "it", "sh -c 'cp -a /from/app.db* /to/'"},
		{"my app.db", sqlite, `"my app.db"`, "it", `sh -c 'cp -a "$0"* /to/' '/from/my app.db'`},
		{"Bob's.db", sqlite, `"Bob's.db"`, "it", `sh -c 'cp -a "$0"* /to/' '/from/Bob'\''s.db'`},
		{"PG_VERSION", "16\n", "PG_VERSION", "it", "cp -a /from/. /to/"},
		{"radarr/app.db", sqlite, "radarr/app.db", "the folder radarr", "cp -a /from/radarr/. /to/"},
		{"My App/app.db", sqlite, `"My App/app.db"`, `the folder "My App"`, "cp -a '/from/My App/.' /to/"},
		{"$(reboot)/app.db", sqlite, `"$(reboot)/app.db"`, `the folder "$(reboot)"`, "cp -a '/from/$(reboot)/.' /to/"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			b.put(t, test.name, test.content)
			b.round(t, 0, b.films)
			text := b.Warnings.Of("films")
			assert.Assert(t, strings.HasPrefix(text, test.shown+" in this volume is a database ("), text)
			assert.Assert(t, strings.Contains(text, " move "+test.moved+" to the cluster filesystem: "), text)
			assert.Assert(t, strings.Contains(text, "-v films:/from:ro -v films_db:/to busybox "+test.command+"`"), text)
		})
	}
}

// Rows may be in the log alone: a database without it is one that lost them. A shell runs the command, on the files themselves.
func TestTextsCommandsTakeTheLogAlong(t *testing.T) {
	for _, name := range []string{"app.db", "my app.db", "Bob's.db", "a[b]*.db", `$(exit 1)\.db`} {
		b, to := newBench(t), t.TempDir()
		all := []string{name, name + "-journal", name + "-wal"}
		for _, one := range all {
			b.put(t, one, sqlite)
		}
		b.put(t, "film.mkv", "\x1aE\xdf\xa3")
		b.round(t, 0, b.films)
		_, command, _ := strings.Cut(b.Warnings.Of("films"), " busybox ")
		command, _, ok := strings.Cut(command, "`, and mount films_db")
		assert.Assert(t, ok, b.Warnings.Of("films"))
		command = strings.NewReplacer("/from/", b.kernel.ShareFiles(nas)+"/films/", "/to/", to+"/").Replace(command)
		said, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput()
		assert.NilError(t, err, "%s: %s", command, said)
		var copied []string
		files, err := os.ReadDir(to)
		assert.NilError(t, err)
		for _, file := range files {
			copied = append(copied, file.Name())
		}
		assert.DeepEqual(t, copied, all)
	}
}

// A volume that refuses databases cannot be mounted to copy one away, so that another one of the same directory is made for that.
func TestTextsHaveAWayRoundARefusal(t *testing.T) {
	b := newBench(t)
	b.put(t, "app.db", sqlite)
	err := b.admit(t, func(record *catalog.Record) {
		nobrl(record)
		refusing(record)
	})
	assert.ErrorContains(t, err, "`docker volume create -d homelab-storage -o class=media -o share=//192.168.1.100/media/films -o credentials=nas "+
		"-o o=vers=3.0 films_from && docker volume create -d homelab-storage -o class=db films_db && "+
		"docker run --rm -v films_from:/from:ro -v films_db:/to busybox sh -c 'cp -a /from/app.db* /to/'`")
}
