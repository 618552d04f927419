// Package unfinished keeps, in the state folder, that an upgrade has disabled the plugin: the engine writes that down as if a person had done
// it. The upgrade writes it before, and the plugin removes it when it runs. What is found while it does not run is an upgrade that was killed,
// lost its power or failed.
package unfinished

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

const (
	// file is the upgrade's, in the state folder.
	file = "upgrade.json"
	// limit bounds it, in bytes.
	limit = 64 << 10
)

// Upgrade is one that has not come to its end.
type Upgrade struct {
	Plugin   string    `json:"plugin"`   // its name, with the tag
	ID       string    `json:"id"`       // the engine's, which is another one when the plugin was installed anew
	Settings []string  `json:"settings"` // as `docker plugin set` takes them; an installation made anew has none
	Began    time.Time `json:"began"`
}

// File is the path of the record in a state folder.
func File(state string) string { return filepath.Join(state, file) }

// Read gives the upgrade that has not come to its end; that of no plugin when there is none.
func Read(state string) (found Upgrade, err error) {
	err = in(state, func(dir *durable.Dir) error {
		text, err := dir.Read(file, limit)
		if err != nil {
			return err
		}
		return json.Unmarshal(text, &found)
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Upgrade{}, nil
	case err != nil:
		return Upgrade{}, fmt.Errorf("reading whether an upgrade was interrupted, in %s: %w", File(state), err)
	}
	return found, nil
}

// Write keeps it; the folder is made when it is missing. Nobody but root may read it, since a setting may be a secret.
func (u Upgrade) Write(state string) error {
	text, err := json.Marshal(u)
	if err != nil {
		return err
	}
	if len(text) >= limit {
		return fmt.Errorf("the settings are %d bytes long; there is room for %d", len(text), limit)
	}
	return in(state, func(dir *durable.Dir) error { return dir.Write(file, append(text, '\n')) }, durable.MakeAll())
}

// Forget says that nothing is unfinished. There was something, or not.
func Forget(state string) error {
	err := in(state, func(dir *durable.Dir) error {
		there, err := dir.Exists(file)
		if err != nil || !there {
			return err
		}
		return dir.Remove(file)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func in(state string, work func(*durable.Dir) error, options ...durable.Option) error {
	dir, err := durable.Open(state, options...)
	if err != nil {
		return err
	}
	return errors.Join(work(dir), dir.Close())
}
