package driver

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// marked finds the volumes whose errors a text has, see mark.
var marked = regexp.MustCompile(`volume "([a-zA-Z0-9][a-zA-Z0-9_.-]{1,127})": `)

// mark begins every error of a volume that the engine is told, see explain.
func mark(name string) string { return fmt.Sprintf("volume %q: ", name) }

// heal tries the volumes again whose storage was away at their last Mount, or refused it. When it is as it should be, the containers
// that the engine gave up on are started: it does not retry them by itself (DESIGN D15).
func (d *Driver) heal(ctx context.Context) {
	d.recall(ctx)
	d.heals.begin(ctx, d.healVolume, d.byStorage(d.failures.due()))
}

// recall learns from the engine, once, which containers an earlier process of the plugin could not give their volumes: it remembered
// them in memory only.
func (d *Driver) recall(ctx context.Context) {
	if d.recalled.Load() {
		return
	}
	limited, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	var found []string
	_, err := d.options.Engines.StartFailed(limited, func(text string) bool {
		for _, part := range marked.FindAllStringSubmatch(text, -1) {
			found = append(found, part[1])
		}
		return false // it is started when its volume is there
	})
	if err != nil {
		return // the engine may be starting
	}
	d.recalled.Store(true)
	for _, name := range found {
		d.failures.recall(name)
	}
}

func (d *Driver) healVolume(ctx context.Context, name string) error {
	if err := d.stageAgain(ctx, name); err != nil {
		if !errors.Is(err, backend.ErrUnavailable) {
			d.failures.refused(name)
		}
		return err
	}
	if d.startLate(ctx, name) {
		d.failures.healed(name)
	}
	return nil
}

// stageAgain proves a volume's storage and mounts nothing.
func (d *Driver) stageAgain(ctx context.Context, name string) error {
	record, _, ok := d.records.get(name)
	if !ok {
		return nil
	}
	storage, err := d.backendOf(record)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	_, err = storage.Stage(limited, volumeOf(record))
	return err
}

// startLate says whether the engine answered; when not, as during its own start, it is asked again.
func (d *Driver) startLate(ctx context.Context, name string) bool {
	log := d.log.WithField("volume", name)
	log.Debug("the storage of a volume is back")
	mark := mark(name)
	limited, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	started, err := d.options.Engines.StartFailed(limited, func(text string) bool { return strings.Contains(text, mark) })
	if err != nil {
		log.WithError(err).Warn("the containers that wait for the volume could not be started")
	}
	for _, container := range started {
		log.WithField("container", container).Info("a container that waited for the volume was started")
	}
	return err == nil
}
