package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// Credentials are set from standard input, listed without the password, and removed.
func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	do := func(input string, line ...string) (int, string) {
		code, out, problem := run(t, input, append([]string{"x", "credentials", "--state-dir", dir}, line...)...)
		assert.Assert(t, !strings.Contains(out+problem, "hunter2"), "a password was shown")
		return code, out + problem
	}
	code, text := do("", "ls")
	assert.Equal(t, code, 0)
	assert.Equal(t, text, "No credentials are stored.\n")

	code, text = do("hunter2, with % and \\ \r\nrest", "set", "nas", "--username", "media", "--domain", "HOME")
	assert.Equal(t, code, 0, text)
	assert.Equal(t, text, "Stored the credentials nas of the user media on this node.\n")
	file := filepath.Join(dir, "credentials", "nas")
	content, err := os.ReadFile(file)
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(string(content), "password=hunter2, with % and \\ \n"), "%q", content)
	info, err := os.Stat(file)
	assert.NilError(t, err)
	assert.Equal(t, info.Mode().Perm(), os.FileMode(0o600))

	code, text = do("", "ls")
	assert.Equal(t, code, 0)
	assert.Equal(t, text, "NAME  USER   DOMAIN  FROM  PROBLEM\nnas   media  HOME    node  -\n")
	_, text = do("", "ls", "--format", "json")
	assert.Assert(t, strings.Contains(text, `"username": "media"`), text)

	code, text = do("", "rm", "nas")
	assert.Equal(t, code, 0, text)
	code, text = do("", "rm", "nas")
	assert.Equal(t, code, 1)
	assert.Equal(t, text, "homelab-storage: there are no credentials \"nas\" on this node; credentials ls lists them\n")
}

func TestCredentialsThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	for _, example := range []struct{ input, name, want string }{
		{"", "nas", "no password was given"},
		{"\n", "nas", "no password was given"},
		{"secret\n", "../nas", "must be 1 to 128 letters"},
		{strings.Repeat("x", 300), "nas", "at most 255"},
	} {
		code, _, problem := run(t, example.input, "x", "credentials", "--state-dir", dir, "set", example.name, "--username", "u")
		assert.Equal(t, code, 1)
		assert.Assert(t, strings.Contains(problem, example.want), problem)
	}
}
