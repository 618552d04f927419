package drivertest

import (
	"fmt"
	"os"
	"path/filepath"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// mount mounts as the engine does: every try has an ID of its own, and no Unmount follows one that failed.
func (w *world) mount(name string) (id string) {
	w.t.Helper()
	w.call("mount "+name, func(d *driver.Driver) error {
		id = w.id()
		target, err := d.Mount(w.t.Context(), name, id, running)
		if err == nil {
			assert.Equal(w.t, target, w.node.target(name))
		}
		return err
	})
	w.used(name, id)
	return id
}

// id is one that no container had.
func (w *world) id() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids++
	return fmt.Sprintf("id%d", w.ids)
}

// used notes that a container of an ID uses a volume, as the kernel then shows.
func (w *world) used(name, id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.volumes[name].uses = append(w.volumes[name].uses, id)
	w.users(w.node, name, "radarr")
}

// unused notes that it does not any more.
func (w *world) unused(name, id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	it := w.volumes[name]
	it.uses = without(it.uses, id)
	if len(it.uses) == 0 {
		w.users(w.node, name)
	}
}

// uses are the IDs of the containers that use a volume.
func (w *world) uses(name string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.volumes[name].uses
}

// users sets which processes of containers the kernel shows on a node.
func (w *world) users(on *node, name string, processes ...string) {
	var users []mounter.User
	for _, process := range processes {
		users = append(users, mounter.User{PID: 4242, Name: process, Target: "/config"})
	}
	w.kernel.SetUsers(on.target(name), users...)
}

// unmount unmounts as the engine does: once, whatever the answer is.
func (w *world) unmount(name, id string) {
	w.t.Helper()
	w.unused(name, id)
	_ = w.node.driver.Unmount(w.t.Context(), name, id)
	if w.node.points.died() {
		w.revive()
		w.check()
	}
	w.notice()
}

func without(list []string, gone string) []string {
	var left []string
	for _, one := range list {
		if one != gone {
			left = append(left, one)
		}
	}
	return left
}

// write has a container write a row into its volume.
func (w *world) write(name, row string) {
	w.t.Helper()
	assert.NilError(w.t, os.WriteFile(filepath.Join(w.node.target(name), "rows"), []byte(row), 0o600))
	w.volumes[name].row = row
}

// read has a container read it.
func (w *world) read(name string) {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.node.target(name), "rows"))
	assert.NilError(w.t, err)
	assert.Equal(w.t, string(text), w.volumes[name].row)
}
