package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/credential"
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

func (o *operator) CredentialsSet(_ context.Context, name string, login credential.Credentials) error {
	o.got = fmt.Sprintf("%s,%s,%s,%s", name, login.Username, login.Domain, login.Password.Reveal())
	return nil
}

func (o *operator) CredentialsRemove(_ context.Context, name string) error {
	o.got = "removed " + name
	return nil
}

func (o *operator) CredentialsUse(context.Context, string) (driver.CredentialsUse, error) {
	if o.empty {
		return driver.CredentialsUse{}, nil
	}
	return driver.CredentialsUse{Volumes: []string{"films", "tv"}, Mounted: []string{"films", "tv"}, Shares: []string{"media"}}, nil
}

func (o *operator) CredentialsTest(_ context.Context, name, share string) ([]driver.LoginTest, error) {
	if o.empty {
		return nil, errors.New("no volume and no configured share uses the credentials")
	}
	if share != "" {
		return []driver.LoginTest{{Share: share, Took: 20 * time.Millisecond}}, nil
	}
	return []driver.LoginTest{{Share: "//nas/media", Took: 20 * time.Millisecond}, {Share: "//nas/tv", Took: 1340 * time.Millisecond, Problem: "the server refused the user of the credentials \"" + name + "\""}}, nil
}

// What the commands do with the plugin's help: for all nodes, with a new password, and a try.
func TestCredentialsOfAllNodes(t *testing.T) {
	home := here(t)
	var text strings.Builder
	for _, empty := range []bool{false, true} {
		service := &operator{empty: empty}
		serve(t, service)
		do := func(input, line string) {
			code, out, problem := run(t, input, append([]string{"docker-homelab", "homelab", "--socket", "p.sock"}, append(strings.Fields(line), "--state-dir", "state")...)...)
			assert.Assert(t, !strings.Contains(out+problem, "hunter"))
			fmt.Fprintf(&text, "$ docker homelab %s\n%s%s[%d]\n\n", line, out, problem, code)
		}
		do("hunter1", "credentials set nas --username media --domain HOME --all-nodes")
		assert.Equal(t, service.got, "nas,media,HOME,hunter1")
		do("hunter1", "credentials set nas --username media")
		do("hunter2", "credentials set nas --username media --all-nodes")
		do("hunter3\n", "credentials rotate nas")
		content, err := os.ReadFile("state/credentials/nas")
		assert.NilError(t, err)
		assert.Equal(t, string(content), "username=media\npassword=hunter3\n")
		do("hunter", "credentials rotate other")
		do("", "credentials test nas")
		do("", "credentials test nas //nas/films --format json")
		do("", "credentials rm nas")
		do("", "credentials rm nas --force")
		do("", "credentials rm nas --all-nodes --force")
		assert.Equal(t, service.got, "removed nas")
		t.Chdir(home)
	}
	golden.Assert(t, text.String(), "credentials.golden")
}

// A rotation of what is on the pool goes there.
func TestRotateOnThePool(t *testing.T) {
	service := &operator{}
	serve(t, service)
	assert.NilError(t, os.MkdirAll("state/credentials/.pool", 0o700))
	assert.NilError(t, os.WriteFile("state/credentials/.pool/nas", []byte("username=media\ndomain=HOME\npassword=old\n"), 0o600))
	code, out, problem := run(t, "new, with blanks ", "x", "--socket", "p.sock", "credentials", "rotate", "nas", "--state-dir", "state")
	assert.Equal(t, code, 0, problem)
	assert.Equal(t, service.got, "nas,media,HOME,new, with blanks ")
	assert.Assert(t, strings.Contains(out, "for all nodes"))
	code, _, problem = run(t, "", "x", "--socket", "p.sock", "credentials", "rm", "nas", "--state-dir", "state")
	assert.Equal(t, code, 1)
	assert.Assert(t, strings.Contains(problem, "credentials rm nas --all-nodes removes them everywhere"), problem)
}

func TestCredentialsThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	for _, example := range []struct{ input, name, want string }{
		{"", "nas", "no password was given"},
		{"\n", "nas", "no password was given"},
		{"secret\n", "../nas", "must be 1 to 128 letters"},
		{strings.Repeat("x", 129), "nas", "at most 128"},
	} {
		code, _, problem := run(t, example.input, "x", "credentials", "--state-dir", dir, "set", example.name, "--username", "u")
		assert.Equal(t, code, 1)
		assert.Assert(t, strings.Contains(problem, example.want), problem)
	}
}

// A command that is ended while it waits for the password, or when it has just come, stores nothing.
func TestPasswordIsNotStoredAfterTheEnd(t *testing.T) {
	for _, command := range []string{"set", "rotate"} {
		for _, typed := range []string{"", "hunter2\n"} {
			t.Run(command+" "+strings.TrimSpace(typed), func(t *testing.T) {
				dir := t.TempDir()
				line := []string{"x", "credentials", "--state-dir", dir, command, "nas"}
				if command == "set" {
					line = append(line, "--username", "media")
				} else {
					code, _, problem := run(t, "old", "x", "credentials", "--state-dir", dir, "set", "nas", "--username", "media")
					assert.Equal(t, code, 0, problem)
				}
				ctx, interrupt := context.WithCancel(t.Context())
				input := &interrupted{typed: typed, interrupt: interrupt, open: make(chan struct{})}
				defer close(input.open)
				var out, problem strings.Builder
				code := Run(ctx, line, Options{Version: "1.0", In: input, Out: &out, Err: &problem})
				assert.Equal(t, code, 1)
				assert.Equal(t, problem.String(), "homelab-storage: no password was stored: context canceled\n")
				content, err := os.ReadFile(filepath.Join(dir, "credentials", "nas"))
				if command == "set" {
					assert.ErrorIs(t, err, os.ErrNotExist)
				} else {
					assert.NilError(t, err)
					assert.Equal(t, string(content), "username=media\npassword=old\n")
				}
			})
		}
	}
}

// interrupted is a keyboard on which Ctrl-C is pressed, and then a password is typed or nothing.
type interrupted struct {
	typed     string
	interrupt func()
	open      chan struct{} // closed when nobody types any more
}

func (i *interrupted) Read(p []byte) (int, error) {
	i.interrupt()
	if i.typed == "" {
		<-i.open
		return 0, io.EOF
	}
	return copy(p, i.typed), nil
}
