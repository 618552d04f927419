package mounter_test

import (
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/mounter"
)

// What containers write through any mount of a volume is found, by its name below the volume; what they read, what is removed,
// what is elsewhere, and what the host has open is not.
func TestOpenFiles(t *testing.T) {
	f := newFixture(t)
	f.poolFolder(t, "open/films/below")
	f.poolFolder(t, "open/other")
	target := f.target(t)
	assert.NilError(t, f.Bind(t.Context(), mounter.Bind{Base: f.pool, Subdir: "open/films", Target: target}))
	defer func() { assert.NilError(t, f.Unmount(t.Context(), target)) }()
	look := func() []mounter.OpenFile {
		files, err := f.OpenFiles(t.Context(), []string{target, f.folder + "/volumes/none"})
		assert.NilError(t, err)
		assert.Equal(t, len(files[f.folder+"/volumes/none"]), 0)
		return files[target]
	}
	assert.Equal(t, len(look()), 0)

	root := "mount -t tmpfs root container; mkdir container/v"
	seen := f.view(target)
	writer := f.inNamespace(t, root+"; mount --bind "+seen+" container/v; : >container/v/read.db; exec 3<>container/v/app.db 4<container/v/read.db")
	below := f.inNamespace(t, root+"; mount --bind "+seen+"/below container/v; exec 3>>'container/v/a name'")
	f.inNamespace(t, root+"; mount --bind "+seen+" container/v; exec 3>container/v/gone.db; rm container/v/gone.db")
	f.inNamespace(t, root+"; mount --bind pool/open/other container/v; exec 3>container/v/other.db")
	f.inNamespace(t, "exec 3>pool/open/films/host.db") // a service, through the pool itself
	files := look()
	slices.SortFunc(files, func(a, b mounter.OpenFile) int { return strings.Compare(a.Path, b.Path) })
	assert.DeepEqual(t, files, []mounter.OpenFile{{PID: writer, Name: "sh", Path: "app.db"}, {PID: below, Name: "sh", Path: "below/a name"}})
}

// BenchmarkOpenFiles looks at the mount tables of this machine's namespaces, and at one container's open files.
func BenchmarkOpenFiles(b *testing.B) {
	f := newFixture(b)
	for b.Loop() {
		_, err := f.OpenFiles(b.Context(), []string{f.folder + "/volumes/none"})
		assert.NilError(b, err)
	}
}
