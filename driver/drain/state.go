package drain

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// drained is a pool that is out of use on this node, as the state folder keeps it: it stays so when the plugin is restarted.
type drained struct {
	Version int       `json:"version"`
	Pool    string    `json:"pool"`
	Since   time.Time `json:"since"`
	// Lifted says that it is mounted again, and only containers are still to be started.
	Lifted  bool      `json:"lifted,omitempty"`
	Stopped []stopped `json:"stopped,omitempty"`
}

// stopped is a container that a drain has stopped, or was about to.
type stopped struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Service string `json:"service,omitempty"`
}

const (
	stateVersion = 1
	stateSuffix  = ".json"
	maxState     = 1 << 20
)

func fileOf(pool string) string { return pool + stateSuffix }

// open reads the state of a pool that is drained, or makes it.
func (k *Keeper) open(pool string) (drained, error) {
	k.turning.Lock()
	defer k.turning.Unlock()
	known, ok, err := k.read(pool)
	if err != nil || ok && !known.Lifted {
		return known, err
	}
	known.Version, known.Pool, known.Since, known.Lifted = stateVersion, pool, k.options.Now(), false
	return known, k.write(known)
}

func (k *Keeper) read(pool string) (known drained, ok bool, err error) {
	text, err := k.state.Read(fileOf(pool), maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return drained{}, false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &known)
	}
	if err == nil && (known.Version != stateVersion || known.Pool != pool) {
		err = fmt.Errorf("it is of pool %q, version %d", known.Pool, known.Version)
	}
	if err != nil {
		return drained{}, false, fmt.Errorf("the state of the drained pool %s (%s) cannot be read; look at it, and remove it to forget the drain: %w",
			pool, fileOf(pool), err)
	}
	return known, true, nil
}

func (k *Keeper) write(known drained) error {
	text, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return err
	}
	return k.state.Write(fileOf(known.Pool), text)
}

// forget takes containers off what a drain has stopped, and forgets the drain when none is left. It does nothing when another drain of the
// pool has begun since: that one starts them at its end.
func (k *Keeper) forget(lifted drained, started ...stopped) error {
	k.turning.Lock()
	defer k.turning.Unlock()
	known, ok, err := k.read(lifted.Pool)
	if err != nil || !ok || !known.Lifted || !known.Since.Equal(lifted.Since) {
		return err
	}
	known.Stopped = slices.DeleteFunc(known.Stopped, func(one stopped) bool { return slices.Contains(started, one) })
	if len(known.Stopped) > 0 {
		return k.write(known)
	}
	return k.state.Remove(fileOf(known.Pool))
}

// list is every drained pool that can be read, with the errors of the others.
func (k *Keeper) list() ([]drained, error) {
	entries, err := k.state.List(".")
	if err != nil {
		return nil, err
	}
	var found []drained
	var problems []error
	for _, entry := range entries {
		pool, ok := strings.CutSuffix(entry.Name(), stateSuffix)
		if !ok || durable.IsTemporary(entry.Name()) {
			continue
		}
		known, ok, err := k.read(pool)
		if ok {
			found = append(found, known)
		}
		problems = append(problems, err)
	}
	return found, errors.Join(problems...)
}
