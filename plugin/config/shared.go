package config

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// sharedName is the shared file in the private folder of the catalog pool (DESIGN, Names).
const sharedName = "config.yaml"

// sharedWait bounds one look at the shared file. A pool that needs longer is stalled or hung; the copy stays in force.
const sharedWait = 500 * time.Millisecond

// errAway says that the pool is not there, so that a missing file means nothing.
var errAway = errors.New("the pool is not there")

// catalogPool is the pool of the configuration that is being read, good or not.
func catalogPool(from sources) (settings.Pool, bool) {
	merged, _ := merge(from)
	pool, ok := merged.CatalogPool()
	return pool, ok && pool.Path != ""
}

func sharedPath(pool settings.Pool) string {
	return path.Join(pool.Path, backend.PrivateFolder, sharedName)
}

// readShared reads the shared file of the catalog pool in force and says whether it changed. A pool that is away, hung or
// not yet marked as a pool leaves the copy as it is.
func (w *Watcher) readShared(ctx context.Context) bool {
	pool, ok := w.Current().CatalogPool()
	if !ok {
		return false
	}
	result := make(chan []byte, 1)
	ctx, cancel := context.WithTimeout(ctx, sharedWait)
	defer cancel()
	err := w.options.Do(ctx, "read the shared configuration of the pool "+pool.Name, func() error {
		text, err := readPrivate(filepath.Dir(w.options.HostPath(sharedPath(pool))))
		result <- text
		return err
	})
	if err != nil {
		w.options.Log.WithField("pool", pool.Name).WithError(err).Debug("shared configuration not read")
		return false
	}
	text := <-result
	changed := !bytes.Equal(text, w.shared)
	if changed && len(text) == 0 {
		w.saveShared(pool)
	}
	w.shared = text
	return changed
}

// saveShared keeps the copy of a shared file that is gone: nobody may have meant that, as when the pool was formatted again.
func (w *Watcher) saveShared(pool settings.Pool) {
	log := w.options.Log.WithField("pool", pool.Name)
	if err := w.state.Write(goneCopy, w.shared); err != nil {
		log.WithError(err).Warn("the shared configuration is gone from the pool, and its copy could not be kept")
		return
	}
	log.WithField("copy", filepath.Join(w.options.StateDir, goneCopy)).Warn("the shared configuration is gone from the pool and not in force any more; its last text is kept")
}

// readPrivate reads the shared file of a private folder that has the pool's marker; a missing file is an empty one.
func readPrivate(folder string) ([]byte, error) {
	dir, err := durable.Open(folder)
	if err != nil {
		return nil, err
	}
	text, err := dir.Read(sharedName, maxFile)
	if errors.Is(err, os.ErrNotExist) {
		var marked bool
		if marked, err = dir.Exists(backend.MarkerFile); err == nil && !marked {
			err = errAway
		}
	}
	return text, errors.Join(err, dir.Close())
}

// readFile reads one file of at most maxFile bytes.
func readFile(name string) ([]byte, error) {
	dir, err := durable.Open(filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	text, err := dir.Read(filepath.Base(name), maxFile)
	return text, errors.Join(err, dir.Close())
}
