package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/homelab-storage/homelab-storage/plugin/engine"
	"github.com/homelab-storage/homelab-storage/plugin/unfinished"
)

// unfinished is the upgrade that has left the plugin disabled, if one has.
func (s *session) unfinished() (unfinished.Upgrade, error) {
	return unfinished.Read(s.machine().StateFolder())
}

// left says whether it was an upgrade that disabled a plugin, and it had time to end.
func left(record unfinished.Upgrade, plugin engine.Plugin, wait time.Duration) bool {
	age := time.Since(record.Began) // below zero: the clock was set back
	return record.Plugin == plugin.Name && (age < 0 || age >= upgradeTimes*wait)
}

// lost are the settings that a plugin had before an upgrade installed it anew, with another ID. Otherwise it has those that somebody gave it.
func lost(record unfinished.Upgrade, plugin engine.Plugin) []string {
	if record.ID == plugin.ID {
		return nil
	}
	return record.Settings
}

// recordOf gives what to record of an upgrade, with the settings that the plugin is to have. One that goes on where another one was
// interrupted is recorded at once.
func (s *session) recordOf(ctx context.Context, here *engine.Engine, plugin engine.Plugin) (record unfinished.Upgrade, err error) {
	before := unfinished.Upgrade{}
	if !plugin.Enabled {
		if before, err = s.unfinished(); err != nil {
			s.tell("The settings that the plugin had before the last upgrade are not known: %v", err)
		}
	}
	record = unfinished.Upgrade{Plugin: plugin.Name, ID: plugin.ID}
	if record.Settings, err = here.Settings(ctx, plugin.Name); err != nil || before.Plugin != plugin.Name {
		return record, err
	}
	if before.ID != plugin.ID {
		record = before
	}
	s.begin(record)
	return record, nil
}

// begin records an upgrade at the moment at which it disables the plugin. Without a record it goes on as well; it may be what mends the node.
func (s *session) begin(record unfinished.Upgrade) {
	record.Began = time.Now().UTC().Truncate(time.Second)
	if err := record.Write(s.machine().StateFolder()); err != nil {
		s.tell("The upgrade is not recorded, and would not be finished if it were interrupted: %v", err)
	}
}

// settle forgets the upgrade when a plugin runs, as the plugin itself does unless it is an old version.
func (s *session) settle(ctx context.Context, here *engine.Engine) {
	if plugin, err := theOne(ctx, here); err == nil && plugin.Enabled {
		s.forgetUpgrade()
	}
}

func (s *session) forgetUpgrade() {
	if err := unfinished.Forget(s.machine().StateFolder()); err != nil {
		s.tell("The record of the upgrade is not removed: %v", err)
	}
}

// removedBy says so when it was an upgrade that has taken the plugin away.
func (s *session) removedBy(err error) error {
	record, problem := s.unfinished()
	if problem != nil || record.Plugin == "" {
		return err
	}
	return fmt.Errorf("%w; an upgrade of %s has removed the old version and did not come to its end: install one under this name, with --disable; "+
		"docker homelab host revive then gives it the settings that it had, which are in %s, and enables it",
		err, record.Plugin, unfinished.File(s.machine().StateFolder()))
}
