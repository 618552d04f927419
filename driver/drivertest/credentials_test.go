package drivertest

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// secret is what an operator knows of the credentials of a name: the text of their file, "" for none.
type secret struct {
	text  string
	maybe []string // what a call that had no answer was to make of it
}

// ofAllNodes are credentials that every node has, and a volume that logs in with them.
func ofAllNodes(w *world) {
	w.setCredentials("nas", "one")
	w.counts(false)
	w.create("vol", own("", "type", "cifs", "device", nas+"/films", "credentials", "nas"))
	id := w.mount("vol")
	w.loggedIn("one")
	w.write("vol", "row")
	w.counts(true)
	w.setCredentials("nas", "two")
	w.restart()
	w.read("vol")
	w.unmount("vol", id)
	w.removeCredentials("nas")
	w.counts(false)
	w.restart()
	w.setCredentials("nas", "three")
	id = w.mount("vol")
	w.read("vol")
	w.unmount("vol", id)
	w.remove("vol")
}

func (w *world) setCredentials(name, password string) {
	w.t.Helper()
	w.changeCredentials("set", name, "username=bob\npassword="+password+"\n", func(d *driver.Driver, _ int) error {
		return d.CredentialsSet(w.t.Context(), name, credential.Credentials{Username: "bob", Password: mounter.NewSecret(password)})
	})
}

func (w *world) removeCredentials(name string) {
	w.t.Helper()
	w.changeCredentials("remove", name, "", func(d *driver.Driver, tries int) error {
		err := d.CredentialsRemove(w.t.Context(), name)
		if tries > 1 && errors.Is(err, credential.ErrNotFound) {
			return nil
		}
		return err
	})
}

func (w *world) changeCredentials(what, name, text string, do func(d *driver.Driver, tries int) error) {
	w.t.Helper()
	if w.secrets[name] == nil {
		w.secrets[name] = &secret{}
	}
	w.secrets[name].maybe = []string{text}
	tries := 0
	w.call(what+" credentials "+name, func(d *driver.Driver) error {
		tries++
		return do(d, tries)
	})
	w.secrets[name] = &secret{text: text}
	w.checkSecrets(true)
}

// loggedIn says with which password the newest mount of a share was made.
func (w *world) loggedIn(password string) {
	w.t.Helper()
	mounts := w.kernel.Actions(mountertest.OpMountShare)
	assert.Assert(w.t, len(mounts) > 0)
	assert.Equal(w.t, mounts[len(mounts)-1].Share.Password.Reveal(), password)
}

// checkSecrets: the pool has what was acknowledged, or what a call without an answer was to make of it, and this node has a copy of that.
func (w *world) checkSecrets(settled bool) {
	w.t.Helper()
	for name, it := range w.secrets {
		onPool := w.secretIn(filepath.Join(w.kernel.HostPath(poolPath), backend.PrivateFolder, backend.CredentialsFolder, name))
		copied := w.secretIn(w.kernel.HostPath(filepath.Join("/var/lib", w.node.name(), "credentials/.pool", name)))
		allowed := append([]string{it.text}, it.maybe...)
		assert.Check(w.t, slices.Contains(allowed, onPool), "the credentials %s of the pool are %q, and not %q", name, onPool, allowed)
		assert.Check(w.t, copied == onPool || !settled && slices.Contains(allowed, copied), "the credentials %s of the pool are %q, and their copy %q", name, onPool, copied)
	}
}

func (w *world) secretIn(path string) string {
	w.t.Helper()
	text, err := os.ReadFile(path)
	assert.Check(w.t, err == nil || errors.Is(err, os.ErrNotExist), "%v", err)
	return string(text)
}
