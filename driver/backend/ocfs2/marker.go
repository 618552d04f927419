package ocfs2

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/internal/durable"
)

const (
	markerVersion = 1
	maxMarker     = 4096
)

// errOtherPool says that a volume was made on another file system than the one that is the pool now.
var errOtherPool = errors.New("the volume was made on another pool")

// marker is the file that says that a pool is ours, and which one it is.
type marker struct {
	Version int       `json:"version"`
	UUID    string    `json:"uuid"`
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
}

// proveMarker compares the pool's marker with its file system, or makes it.
func (b *Backend) proveMarker(ctx context.Context, found *proven, want wanted) error {
	var read marker
	root := b.kernel.HostPath(found.Path)
	err := b.kernel.Do(ctx, "marker of "+found.Path, func() (err error) {
		read, err = b.marker(root, *found, want)
		return err
	})
	if err != nil {
		return b.explainMarker(found, err)
	}
	if found.Standalone {
		found.uuid = read.UUID
	}
	if read.UUID != found.uuid {
		return fail(found.Pool, "the marker %s/%s/%s is of the pool %s, but the file system has the UUID %s: it is a copy; give one of the two a new UUID (tunefs.ocfs2 -U) and remove the marker there",
			found.Path, backend.PrivateFolder, backend.MarkerFile, read.UUID, found.uuid)
	}
	if want.uuid != "" && want.uuid != read.UUID {
		return otherPool(found.Pool, "the pool at %s has the UUID %s, but the volume was created on %s; bring the right one back, or remove the volume and create it again", found.Path, read.UUID, want.uuid)
	}
	found.root = root
	return nil
}

// marker reads the marker, which it makes when that is wanted and it is missing.
func (b *Backend) marker(root string, found proven, want wanted) (marker, error) {
	if want.mark && found.Standalone {
		if err := b.makeFolder(root); err != nil {
			return marker{}, err
		}
	}
	dir, err := b.openPrivate(root, want)
	if err != nil {
		return marker{}, err
	}
	defer func() { _ = dir.Close() }()
	text, err := dir.Read(backend.MarkerFile, maxMarker)
	if errors.Is(err, fs.ErrNotExist) && want.mark {
		text, err = b.newMarker(found)
		if err == nil {
			err = dir.Write(backend.MarkerFile, text)
		}
	}
	if err != nil {
		return marker{}, err
	}
	return parseMarker(text)
}

// openPrivate opens the private folder, which it makes when that is wanted and it is missing. One that is a link or something
// else is refused.
func (b *Backend) openPrivate(root string, want wanted) (*durable.Dir, error) {
	pool, err := durable.Open(root, b.durable...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = pool.Close() }()
	private, err := openDirectory(pool, backend.PrivateFolder)
	if errors.Is(err, fs.ErrNotExist) && want.mark {
		if err = pool.Mkdir(backend.PrivateFolder); err == nil {
			private, err = openDirectory(pool, backend.PrivateFolder)
		}
	}
	return private, err
}

// makeFolder makes the standalone pool's folder on the node's own disk.
func (b *Backend) makeFolder(root string) error {
	dir, err := durable.Open(root, append([]durable.Option{durable.MakeAll()}, b.durable...)...)
	if err != nil {
		return err
	}
	return dir.Close()
}

// newMarker is of the file system's UUID; a standalone pool gets a UUID of its own.
func (b *Backend) newMarker(found proven) ([]byte, error) {
	uuid := found.uuid
	if found.Standalone {
		var random [16]byte
		_, _ = rand.Read(random[:]) // never fails
		uuid = strings.ToUpper(hex.EncodeToString(random[:]))
	}
	text, err := json.Marshal(marker{Version: markerVersion, UUID: uuid, Name: found.Name, Created: b.now().UTC()})
	return append(text, '\n'), err
}

func parseMarker(text []byte) (marker, error) {
	var read marker
	if err := json.Unmarshal(text, &read); err != nil {
		return read, fmt.Errorf("it cannot be read: %w", err)
	}
	if read.Version < 1 || read.Version > markerVersion {
		return read, fmt.Errorf("it has the version %d; this plugin knows %d: install a newer one", read.Version, markerVersion)
	}
	if len(read.UUID) != 32 || strings.Trim(read.UUID, "0123456789ABCDEF") != "" {
		return read, fmt.Errorf("it has no valid UUID: %q", read.UUID)
	}
	return read, nil
}

func (b *Backend) explainMarker(found *proven, err error) error {
	file := found.Path + "/" + backend.PrivateFolder + "/" + backend.MarkerFile
	if errors.Is(err, fs.ErrNotExist) {
		if found.Standalone {
			return &backend.Failure{Away: true, Err: backend.ErrUnused, Text: fmt.Sprintf("pool %s: the folder %s of this node has no marker %s: no volume was ever made here, or the disk with it is not mounted", found.Name, found.Path, file)}
		}
		return &backend.Failure{Away: true, Err: backend.ErrUnused, Text: fmt.Sprintf("pool %s: the file system at %s has no marker %s: it was formatted again, or was never used by homelab-storage. "+
			"The first volume that is created on it makes the marker. When it had volumes, bring their data back first; when it had their records, "+
			"`docker homelab catalog adopt` then takes it into use", found.Name, found.Path, file)}
	}
	stuck := b.slow(found.Pool, err)
	if errors.Is(stuck, backend.ErrUnavailable) {
		return stuck
	}
	return &backend.Failure{Err: err, Text: fmt.Sprintf("pool %s: the marker %s is not usable: %v", found.Name, file, err)}
}
