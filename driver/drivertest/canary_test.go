package drivertest

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// canary is in every password of these tests, and must be nowhere else.
const canary = "CANARY"

// leaks looks for the canary in what a person, a file or a program gets to see.
type leaks struct {
	t    *testing.T
	seen int
}

func (l *leaks) in(what string, shown ...any) {
	l.t.Helper()
	for _, one := range shown {
		l.seen++
		encoded, err := json.Marshal(one)
		text := fmt.Sprintf("%v %+v %#v %q %s", one, one, one, one, encoded)
		if err != nil {
			text = fmt.Sprintf("%v %+v %q", one, one, one)
		}
		assert.Check(l.t, !strings.Contains(text, canary), "%s shows a password: %v", what, one)
	}
}

// mistakes are options with a password, and something that is wrong.
func mistakes() []map[string]string {
	const login = "username=bob,password=" + canary
	var all []map[string]string
	for _, o := range []string{
		login + ",verz=3.0", login + ",vers=9", login + ",uid=x y", login + ",tail" + canary, "password=x," + canary, "password=" + canary, "username=bob%" + canary,
		"username=bob%x," + canary, "user=bob%" + canary + "${x", "username=bob%" + canary + ",uid=x y",
		login + ",password2=" + canary, login + ",guest", login + ",credentials=nas", login + "\n", login + ",bind", login + ",port=0", "username=,password=" + canary,
		"username=bob,password=" + strings.Repeat(canary, 50), login + "\xff", login + ",=" + "x", "pass=" + canary + ",user=", login + ",cache=x,actimeo=y,file_mode=9",
	} {
		all = append(all,
			map[string]string{"type": "cifs", "device": nas, "o": o},
			map[string]string{"type": "none", "device": poolPath + "/x", "o": o},
			map[string]string{"type": "tmpfs", "device": "tmpfs", "o": o},
			map[string]string{"class": "db", "o": o},
			map[string]string{"class": "cache", "o": o},
			map[string]string{"class": "temp", "o": o},
			map[string]string{"type": "local", "o": o},
			map[string]string{"class": "backup", "o": o, "size": "1"})
	}
	for _, device := range []string{"//bob:" + canary + "@192.168.1.100/media", "smb://bob:" + canary + "@nas/media", `\\bob:` + canary + `@nas\media`, "//bob:" + canary + "@nas"} {
		all = append(all, map[string]string{"type": "cifs", "device": device}, map[string]string{"class": "media", "share": device}, map[string]string{"type": "none", "o": "bind", "device": device})
	}
	for _, options := range []map[string]string{
		{"password": canary},
		{"username": "bob%" + canary},
		{"username": "bob%" + canary, "password": canary},
		{"username": "bob", "password": canary + "\n"},
		{"username": "bob", "password": canary, "credentials": "nas"},
		{"username": "bob", "password": strings.Repeat(canary, 50)},
		{"username": "bob", "password": canary, "passwort": canary},
		{"username": "bob", "password": canary, "class": "db"},
		{"username": "bob", "password": canary, "sqlite": "true"},
		{"username": "bob", "password": canary, "type": "ocfs2"},
		{"username": "bob\n", "password": canary},
		{"username": "bob", "password": canary + "\xff"},
	} {
		options["device"] = nas
		all = append(all, options)
	}
	return all
}

// No password shows in an error, a status, the log, a record, an answer to the operator, or what a program is given, whatever goes
// wrong. It is in the files of the credentials, and in the kernel's hands.
func TestNoPasswordShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &points{})
		l := &leaks{t: t}
		for i, options := range mistakes() {
			err := w.node.driver.Create(t.Context(), fmt.Sprint("wrong", i), options)
			assert.Check(t, err != nil, "%v is right", options)
			l.in("the error of Create", err)
		}
		w.volumesWithPasswords(l)
		w.failures(l)
		w.credentials(l)
		w.everythingShown(l)
		w.node.end(t)
		l.in("the log", w.log.String())
		for _, line := range []string{"share mounted", "a database lies on a share"} {
			assert.Assert(t, strings.Contains(w.log.String(), line), "the log is that of the driver: %s", line)
		}
		assert.Assert(t, w.keptFiles(l) > 1, "the search finds the passwords where they are")
		t.Logf("measured: %d texts", l.seen)
	})
}

// volumesWithPasswords are made by every way in which a password is given, and used.
func (w *world) volumesWithPasswords(l *leaks) {
	w.t.Helper()
	login := credential.Credentials{Username: "bob", Password: mounter.NewSecret("a," + canary)}
	assert.NilError(w.t, w.node.driver.CredentialsSet(w.t.Context(), "nas", login))
	put(w.t, w.kernel.HostPath("/etc/nas.cred"), "username=bob\npassword="+canary+"\n")
	for name, options := range map[string]map[string]string{
		"inline": {"o": "username=bob,password=a,," + canary + ",,b,soft"},
		"option": {"username": "bob", "password": canary + `,"%$\`},
		"named":  {"credentials": "nas"},
		"file":   {"o": "credentials=/etc/nas.cred"},
	} {
		options["type"], options["device"] = "cifs", nas+"/"+name
		w.create(name, own("", append([]string{}, pairs(options)...)...))
		id := w.mount(name)
		put(w.t, filepath.Join(w.node.target(name), "app.db"), sqlite)
		w.pass(time.Minute)
		info, err := w.node.driver.Get(w.t.Context(), name)
		assert.NilError(w.t, err)
		l.in("the status", info)
		w.unmount(name, id)
		l.in("the error of another Create", w.node.driver.Create(w.t.Context(), name, map[string]string{"type": "cifs", "device": nas, "o": "username=bob,password=" + canary}))
	}
}

func pairs(options map[string]string) (list []string) {
	for name, value := range options {
		list = append(list, name, value)
	}
	return list
}

// failures are those of the kernel and of the server at a Mount and a Create.
func (w *world) failures(l *leaks) {
	w.t.Helper()
	for _, number := range []syscall.Errno{syscall.EACCES, syscall.EINVAL, syscall.EPERM, syscall.ENOENT, syscall.EHOSTDOWN, syscall.EIO, syscall.EOPNOTSUPP, syscall.EKEYREJECTED} {
		w.kernel.OnCall(func(action mountertest.Action) error {
			if action.Op == mountertest.OpMountShare {
				return number
			}
			return nil
		})
		options := own("", "type", "cifs", "device", "//192.168.1.102/other", "o", "username=bob,password="+canary)
		l.in("the error of Create", w.node.driver.Create(w.t.Context(), "refused", options))
		_, err := w.node.driver.CredentialsTest(w.t.Context(), "nas", "//192.168.1.102/other")
		l.in("the error of a test", err)
	}
	w.kernel.OnCall(nil)
	w.create("hangs", own("", "type", "cifs", "device", "//192.168.1.103/other", "o", "username=bob,password="+canary))
	w.pass(20 * time.Minute) // its share is unmounted
	hold := w.kernel.Hold(mountertest.OpMountShare, "")
	limited, cancel := context.WithTimeout(w.t.Context(), time.Second)
	defer cancel()
	_, err := w.node.driver.Mount(limited, "hangs", "id", driver.Engine{PID: 1, Started: 1})
	assert.Check(w.t, err != nil)
	l.in("the error of Mount", err)
	w.kernel.Release(hold)
}

// credentials are files that somebody else wrote, wrongly.
func (w *world) credentials(l *leaks) {
	w.t.Helper()
	folder := w.kernel.HostPath("/var/lib/node1/credentials")
	for name, content := range map[string]string{
		"garbage": canary, "unknown": canary + "=" + canary, "empty": "password=" + canary, "long": "username=bob\npassword=" + strings.Repeat(canary, 50), "binary": "username=bob\npassword=\xff" + canary,
	} {
		put(w.t, filepath.Join(folder, name), content)
		_, err := w.node.driver.CredentialsTest(w.t.Context(), name, nas)
		assert.Check(w.t, err != nil, name)
		l.in("the error of a test", err)
	}
	open := filepath.Join(folder, "open")
	put(w.t, open, "username=bob\npassword="+canary)
	assert.NilError(w.t, os.Chmod(open, 0o644))
	_, err := w.node.driver.CredentialsTest(w.t.Context(), "open", nas)
	assert.ErrorContains(w.t, err, "others may use it")
	l.in("the error of a test", err)
	entries, err := credential.NewStore(w.kernel, "/var/lib/node1/credentials").List(w.t.Context())
	assert.NilError(w.t, err)
	assert.Assert(w.t, len(entries) >= 7, "%v", entries)
	l.in("the list of credentials", entries)
}

// everythingShown are the answers to the operator and to the engine, and what the kernel and the host's programs were asked.
func (w *world) everythingShown(l *leaks) {
	w.t.Helper()
	d, ctx := w.node.driver, w.t.Context()
	list, err := d.List(ctx)
	l.in("the list", list, err)
	for _, info := range list {
		one, err := d.Get(ctx, info.Name)
		l.in("the status", one, err)
	}
	use, err := d.CredentialsUse(ctx, "nas")
	tests, failed := d.CredentialsTest(ctx, "nas", "")
	holders, _ := d.Holders(ctx, "")
	trash, _ := d.TrashList(ctx, "")
	l.in("an answer to the operator", d.Health(ctx), use, err, tests, failed, holders, trash)
	table, err := w.kernel.Table(ctx, mounter.Plugin)
	l.in("the mount table", table, err)
	for _, action := range w.kernel.Actions() {
		l.in("a call", action)
		if action.Share != nil {
			l.in("a mount", *action.Share)
		}
	}
}

// keptFiles are the files that have the canary: all of them credentials, that only root reads.
func (w *world) keptFiles(l *leaks) (kept int) {
	w.t.Helper()
	root := filepath.Dir(w.kernel.Temp())
	assert.NilError(w.t, filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		l.in("the name of a file", strings.TrimPrefix(name, root))
		if !entry.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(content), canary) {
			return err
		}
		kept++
		info, err := entry.Info()
		assert.Check(w.t, strings.Contains(name, "/credentials/") || strings.HasSuffix(name, "/etc/nas.cred"), name)
		assert.Check(w.t, info.Mode().Perm() == 0o600 || entry.Name() == "open", "%s is %v", name, info.Mode())
		return err
	}))
	return kept
}
