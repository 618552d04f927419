package reference

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

const (
	suffix  = ".json"
	maxFile = 1 << 20     // about 5,000 uses of one volume
	aside   = ".damaged-" // no volume name begins with a dot
)

func fileName(volume string) string { return volume + suffix }

// load reads every file of the folder. Only a folder that cannot be read is an error.
func (c *Counter) load() error {
	entries, err := c.dir.List(".")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		file := entry.Name()
		switch {
		case durable.IsTemporary(file):
			// This process is the only writer and has just begun: a write was cut off.
			if err := c.dir.Unlink(file); err != nil {
				return err
			}
		case strings.HasPrefix(file, aside):
			c.report(file, errors.New("it was set aside earlier"))
		case strings.HasSuffix(file, suffix):
			if err := c.loadFile(file); err != nil {
				return err
			}
		}
	}
	return nil
}

// loadFile reads one file, or sets it aside.
func (c *Counter) loadFile(file string) error {
	data, err := c.dir.Read(file, maxFile)
	var volume Volume
	if err == nil {
		volume, err = parse(strings.TrimSuffix(file, suffix), data)
	}
	if err == nil {
		c.volumes[volume.Name] = volume
		return nil
	}
	if err := c.dir.Rename(file, aside+file); err != nil {
		return err
	}
	c.report(aside+file, err)
	return nil
}

// parse reads the uses of one volume.
func parse(name string, data []byte) (Volume, error) {
	var volume Volume
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&volume); err != nil {
		return Volume{}, fmt.Errorf("not the uses of a volume: %w", err)
	}
	if volume.Name != name || volume.ID == "" || len(volume.Uses) == 0 {
		return Volume{}, fmt.Errorf("not the uses of volume %s: it says volume %q, ID %q, %d uses", name, volume.Name, volume.ID, len(volume.Uses))
	}
	for _, use := range volume.Uses {
		if use.ID == "" {
			return Volume{}, fmt.Errorf("a use of volume %s has no ID", name)
		}
	}
	return volume, nil
}

func (c *Counter) report(file string, cause error) {
	path := c.dir.Path() + "/" + file
	volume := strings.TrimSuffix(strings.TrimPrefix(file, aside), suffix)
	c.problems = append(c.problems, Problem{File: path, Text: fmt.Sprintf("the uses of volume %s on this node are not known (%v); "+
		"stop its containers here before it is removed, then delete %s", volume, cause, path)})
	c.options.Log.WithField("file", path).WithError(cause).Warn("the references of a volume cannot be read")
}
