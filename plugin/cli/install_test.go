package cli

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
)

func TestInstall(t *testing.T) {
	dir := t.TempDir()
	program, target := filepath.Join(dir, "program"), filepath.Join(dir, "cli-plugins", "docker-homelab")
	write := func(name, text string) {
		t.Helper()
		assert.NilError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	expect := func(wantChanged bool, text string) {
		t.Helper()
		changed, err := Install(program, target)
		assert.NilError(t, err)
		assert.Equal(t, changed, wantChanged)
		content, err := os.ReadFile(target)
		assert.NilError(t, err)
		assert.Equal(t, string(content), text)
		info, err := os.Stat(target)
		assert.NilError(t, err)
		assert.Equal(t, info.Mode().Perm(), os.FileMode(0o755))
		entries, err := os.ReadDir(filepath.Dir(target))
		assert.NilError(t, err)
		assert.Equal(t, len(entries), 1)
	}
	write(program, "one")
	expect(true, "one")
	expect(false, "one")
	write(program, "two")
	write(target+".new", "left by a crash")
	expect(true, "two")
	write(program, "two, longer")
	expect(true, "two, longer")

	_, err := Install(filepath.Join(dir, "missing"), target)
	assert.ErrorContains(t, err, "copying the command to "+target)
	_, err = Install(program, filepath.Join(program, "docker-homelab"))
	assert.ErrorContains(t, err, "making the folder of Docker CLI plugins")
}
