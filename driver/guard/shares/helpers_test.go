package shares_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/guard/shares"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

const (
	nas    = "//192.168.1.100/media"
	sqlite = "SQLite format 3\x00"
)

// bench is a guard on a fake kernel, with the volume "films" of a share, which is mounted and in use.
type bench struct {
	*shares.Guard
	kernel *mountertest.Kernel
	films  catalog.Record
	share  string // where it is mounted
	target string
	late   time.Duration // file work begins so much later
	log    bytes.Buffer
	now    time.Time
}

// machine is a fake kernel that may be late with work in a volume.
type machine struct {
	*mountertest.Kernel
	late *time.Duration
}

func (m machine) Do(ctx context.Context, key string, work func() error) error {
	return m.Kernel.Do(ctx, key, func() error {
		if !strings.HasPrefix(key, "guard share ") {
			<-time.After(*m.late)
		}
		return work()
	})
}

func newBench(t *testing.T) *bench {
	t.Helper()
	kernel := mountertest.New(t)
	root := filepath.Join(kernel.Temp(), "volumes")
	b := &bench{
		kernel: kernel, share: filepath.Join(kernel.Temp(), "shares/media"), target: filepath.Join(root, "films"),
		now: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC),
		films: catalog.Record{
			ID: "0a1b", Name: "films", Class: "media",
			Location: backend.Location{Kind: backend.CIFS, Device: nas, Subdir: "films", Credentials: "nas"},
		},
	}
	log := logrus.New()
	log.SetOutput(&b.log)
	b.Guard = shares.New(shares.Options{Kernel: machine{kernel, &b.late}, MountRoot: root, Log: logrus.NewEntry(log), Now: func() time.Time { return b.now }})
	assert.NilError(t, os.Mkdir(filepath.Join(kernel.ShareFiles(nas), "films"), 0o755))
	assert.NilError(t, kernel.MountShare(t.Context(), mounter.Share{Source: nas, Target: b.share}))
	base := mounter.Place{Side: mounter.Plugin, Path: b.share}
	assert.NilError(t, kernel.Bind(t.Context(), mounter.Bind{Base: base, Subdir: "films", Target: b.target}))
	return b
}

// put puts a file into the volume, as any user of the share may.
func (b *bench) put(t *testing.T, name, content string) {
	t.Helper()
	name = filepath.Join(b.kernel.ShareFiles(nas), "films", name)
	assert.NilError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	assert.NilError(t, os.WriteFile(name, []byte(content), 0o600))
}

// open is what a container of the process 8 has open for writing.
func (b *bench) open(names ...string) {
	var files []mounter.OpenFile
	for _, name := range names {
		files = append(files, mounter.OpenFile{PID: 8, Name: "radarr", Path: name})
	}
	b.kernel.SetOpenFiles(b.target, files...)
}

// round lets some time pass and has one Round of the volumes given, all of them in use, with the looks that are due.
func (b *bench) round(t *testing.T, after time.Duration, records ...catalog.Record) (due []string) {
	t.Helper()
	b.now = b.now.Add(after)
	due = b.Round(t.Context(), records, func(string) bool { return true })
	for _, record := range records {
		for _, name := range due {
			if name == record.Name {
				assert.NilError(t, b.Look(t.Context(), record))
			}
		}
	}
	return due
}

// admit asks for the volume with some other setting.
func (b *bench) admit(t *testing.T, change func(*catalog.Record)) error {
	t.Helper()
	record := b.films
	if change != nil {
		change(&record)
	}
	return b.Admit(t.Context(), record, filepath.Join(b.share, record.Location.Subdir))
}

func refusing(record *catalog.Record) { record.Guard = "refuse" }
