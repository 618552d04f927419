package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/plugin/engine"
)

const (
	// upgradeFile, in the state folder, is there while an upgrade has the plugin disabled: one that was killed, or lost its power, is told
	// from a plugin that somebody disabled.
	upgradeFile = "upgrade.json"
	// maxUpgrade bounds it, in bytes.
	maxUpgrade = 64 << 10
)

// upgradeRecord is an upgrade that has not come to its end.
type upgradeRecord struct {
	Plugin   string   `json:"plugin"`   // its name, with the tag
	Settings []string `json:"settings"` // as `docker plugin set` takes them: the engine forgets some of them half-way
}

// state opens the state folder for the record of an upgrade.
func (s *session) state(work func(*durable.Dir) error, options ...durable.Option) error {
	dir, err := durable.Open(s.machine().StateFolder(), options...)
	if err != nil {
		return err
	}
	return errors.Join(work(dir), dir.Close())
}

// interruption gives the upgrade that was interrupted; that of no plugin when there is none.
func (s *session) interruption() (found upgradeRecord, err error) {
	err = s.state(func(dir *durable.Dir) error {
		text, err := dir.Read(upgradeFile, maxUpgrade)
		if err != nil {
			return err
		}
		return json.Unmarshal(text, &found)
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return upgradeRecord{}, nil
	case err != nil:
		return upgradeRecord{}, fmt.Errorf("reading whether an upgrade was interrupted, in %s/%s: %w", s.machine().StateFolder(), upgradeFile, err)
	}
	return found, nil
}

// beginUpgrade records an upgrade, and gives the settings that the plugin is to have: those of an upgrade before it that was interrupted,
// when there was one. Without a record it goes on as well; it may be what mends the node.
func (s *session) beginUpgrade(ctx context.Context, here *engine.Engine, plugin engine.Plugin) ([]string, error) {
	record, err := s.interruption()
	if err != nil || record.Plugin != plugin.Name {
		record.Plugin = plugin.Name
		if record.Settings, err = here.Settings(ctx, plugin.Name); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(record)
	if err == nil {
		err = s.state(func(dir *durable.Dir) error { return dir.Write(upgradeFile, append(text, '\n')) }, durable.MakeAll())
	}
	if err != nil {
		err = s.done("The upgrade is not recorded, and would not be finished if it were interrupted: %v", err)
	}
	return record.Settings, err
}

// endUpgrade says that nothing is left to finish.
func (s *session) endUpgrade() error {
	err := s.state(func(dir *durable.Dir) error { return dir.Remove(upgradeFile) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// removedBy says so when it was an upgrade that has taken the plugin away: the engine has forgotten its settings.
func (s *session) removedBy(err error) error {
	record, problem := s.interruption()
	if problem != nil || record.Plugin == "" {
		return err
	}
	return fmt.Errorf("%w; an upgrade of %s was interrupted after it had removed the old version: install one under this name, with the settings that it had (%s), "+
		"and enable it", err, record.Plugin, dash(strings.Join(record.Settings, " ")))
}

// settle forgets an upgrade that was interrupted when a plugin answers nevertheless: somebody has enabled it, and may disable it again.
func (s *session) settle(ctx context.Context) error {
	if record, err := s.interruption(); err != nil || record.Plugin == "" {
		return err
	}
	end, err := s.turn(ctx, 0)
	if errors.Is(err, errNotOurTurn) {
		return nil // it has not come to its end yet
	}
	if err != nil {
		return err
	}
	defer end()
	if !s.pluginAnswers(ctx) {
		return nil
	}
	return s.endUpgrade()
}
