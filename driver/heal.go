package driver

import (
	"context"
	"fmt"
	"strings"
)

// heal tries the volumes again whose storage was away at their last Mount. When it is back, the containers that the engine
// gave up on are started: it does not retry them by itself (DESIGN D15).
func (d *Driver) heal(ctx context.Context) {
	d.heals.begin(ctx, d.healVolume, d.byStorage(d.failures.waiting()))
}

func (d *Driver) healVolume(ctx context.Context, name string) error {
	if err := d.stageAgain(ctx, name); err != nil {
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
	mark := fmt.Sprintf("volume %q: ", name)
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
