package reference

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// Counter counts the uses of volumes. Its methods may be called at once from several goroutines and wait for nothing but a
// write to the memory file system.
type Counter struct {
	options Options
	dir     *durable.Dir

	// mu guards the fields below and is held across the write of one small file, so that memory and file agree.
	mu       sync.Mutex
	volumes  map[string]Volume // by name; the slices in them are never changed in place
	problems []Problem
}

// Open loads a counter from a folder, which is made when missing.
func Open(dir string, options Options) (*Counter, error) {
	if options.Log == nil {
		return nil, errors.New("a counter of references needs a Log")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	given := append([]durable.Option{durable.MakeAll(), durable.Volatile()}, options.Durable...)
	opened, err := durable.Open(dir, given...)
	if err != nil {
		return nil, fmt.Errorf("open the references: %w", err)
	}
	counter := &Counter{options: options, dir: opened, volumes: map[string]Volume{}}
	if err := counter.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("load the references: %w", err), opened.Close())
	}
	return counter, nil
}

// Close gives the folder back. Nothing is lost without it.
func (c *Counter) Close() error { return c.dir.Close() }

// Add counts a use and returns how many there are. The same ID again is one use more: `docker cp` mounts and unmounts with
// the running container's own ID, and the engine mounts with the old ID again after a crash (FACTS 1). The count is kept
// before it is reported; after an error it is as before.
func (c *Counter) Add(volume, volumeID, id string, engine Engine) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	present, has := c.volumes[volume]
	if has && present.ID != volumeID {
		return len(present.Uses), fmt.Errorf("%w: volume %s (%s) has %d uses; stop the containers that use it on this node, "+
			"then mount volume %s again", ErrOtherVolume, volume, present.ID, len(present.Uses), volumeID)
	}
	uses := append(slices.Clone(present.Uses), Use{ID: id, Engine: engine, Since: c.options.Now().UTC()})
	return c.keep(Volume{Name: volume, ID: volumeID, Uses: uses})
}

// Drop takes the newest use of an ID away and returns how many are left: an older one of the same ID is of an engine that
// ended, and waits for Reap. An unknown volume or ID is no error. After an error the use is still counted.
func (c *Counter) Drop(volume, id string) (left int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	present := c.volumes[volume]
	for at, use := range slices.Backward(present.Uses) {
		if use.ID == id {
			return c.keep(Volume{Name: volume, ID: present.ID, Uses: slices.Delete(slices.Clone(present.Uses), at, at+1)})
		}
	}
	return len(present.Uses), nil
}

// Reap takes away the uses of a volume for which gone says yes, and returns how many are left. gone is called under the
// counter's lock and must not wait.
func (c *Counter) Reap(volume string, gone func(Use) bool) (left int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	present := c.volumes[volume]
	uses := slices.DeleteFunc(slices.Clone(present.Uses), gone)
	if len(uses) == len(present.Uses) {
		return len(uses), nil
	}
	return c.keep(Volume{Name: volume, ID: present.ID, Uses: uses})
}

// keep writes a volume's uses, or removes the file of one without, and returns how many are counted.
func (c *Counter) keep(next Volume) (int, error) {
	if len(next.Uses) == 0 {
		if err := c.dir.Remove(fileName(next.Name)); err != nil {
			return len(c.volumes[next.Name].Uses), fmt.Errorf("forget the references of volume %s: %w", next.Name, err)
		}
		delete(c.volumes, next.Name)
		return 0, nil
	}
	text, err := json.Marshal(next)
	if err == nil {
		err = c.dir.Write(fileName(next.Name), text)
	}
	if err != nil {
		return len(c.volumes[next.Name].Uses), fmt.Errorf("keep the references of volume %s: %w", next.Name, err)
	}
	c.volumes[next.Name] = next
	return len(next.Uses), nil
}

// Of returns the uses of one volume, from memory.
func (c *Counter) Of(volume string) (Volume, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	present, has := c.volumes[volume]
	return present, has
}

// All returns every volume that is in use, sorted by name, from memory.
func (c *Counter) All() []Volume {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Collect(maps.Values(c.volumes))
	slices.SortFunc(all, func(a, b Volume) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Trouble lists the files that were set aside when the counter was opened.
func (c *Counter) Trouble() []Problem {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.problems)
}
