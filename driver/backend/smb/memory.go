package smb

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/internal/durable"
)

const (
	// memoryLimit is the longest file of a share, in bytes; an honest one has some hundred.
	memoryLimit  = 16 << 10
	memorySuffix = ".json"
	// leftover is the age at which a temporary file is a crash's.
	leftover = time.Hour
)

// memory keeps, across restarts and boots, which shares this node has mounted: one file for each, with its location and no
// secret. A share that lingers no longer is forgotten. What cannot be kept costs the next start some milliseconds, and nothing else.
type memory struct {
	folder string // a path that this process can open; "" keeps nothing
	given  []durable.Option
	now    func() time.Time
	log    *logrus.Entry
}

func (m memory) open() (*durable.Dir, error) {
	given := append([]durable.Option{durable.MakeAll(), durable.WithSweep(leftover, m.now)}, m.given...)
	return durable.Open(m.folder, given...)
}

// with works in the folder and tells the log what went wrong.
func (m memory) with(message string, work func(dir *durable.Dir) error) {
	if m.folder == "" {
		return
	}
	dir, err := m.open()
	if err == nil {
		err = errors.Join(work(dir), dir.Close())
	}
	if err != nil {
		m.log.WithError(err).Warn(message)
	}
}

// keep remembers a share that was mounted.
func (m memory) keep(s share) {
	m.with("a share that was mounted will not be mounted before it is asked for after the next start", func(dir *durable.Dir) error {
		text, err := json.Marshal(s.location)
		if err != nil {
			return err
		}
		return dir.Write(s.key+memorySuffix, text)
	})
}

// drop forgets a share.
func (m memory) drop(key string) {
	m.with("a share that is not used any more will be mounted once more at the next start", func(dir *durable.Dir) error {
		if err := dir.Remove(key + memorySuffix); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

// recall lists the remembered shares, however many: they are those that were mounted last, and the background mounts a server's one after
// another, so that a volume that is asked for meanwhile waits for one mount of each server at most. A file that is not what keep wrote is
// removed.
func (m memory) recall(root string) []share {
	var shares []share
	m.with("which shares this node used last cannot be read", func(dir *durable.Dir) error {
		files, err := dir.List(".")
		if err != nil {
			return err
		}
		for _, file := range files {
			key, ours := strings.CutSuffix(file.Name(), memorySuffix)
			if !ours {
				continue
			}
			s, err := m.read(dir, root, key)
			if err != nil {
				m.log.WithError(err).WithField("file", file.Name()).Warn("what was remembered of a share is not usable")
				if err := dir.Remove(file.Name()); err != nil {
					return err
				}
				continue
			}
			shares = append(shares, s)
		}
		return nil
	})
	return shares
}

func (m memory) read(dir *durable.Dir, root, key string) (share, error) {
	text, err := dir.Read(key+memorySuffix, memoryLimit)
	if err != nil {
		return share{}, err
	}
	var location backend.Location
	if err := json.Unmarshal(text, &location); err != nil {
		return share{}, err
	}
	s, err := newShare(root, location)
	if err == nil && s.key != key {
		err = fmt.Errorf("it is of the share mount %s, not of %s", s.key, key)
	}
	return s, err
}

// warm has the background mount what this node used last, at once.
func (b *Backend) warm() {
	now := b.now()
	for _, s := range b.memory.recall(b.root) {
		b.mu.Lock()
		if _, asked := b.states[s.key]; !asked {
			b.states[s.key] = state{share: s, used: now, next: now}
		}
		b.mu.Unlock()
	}
}
