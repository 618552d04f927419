package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/homelab-storage/homelab-storage/internal/tally"
	"github.com/homelab-storage/homelab-storage/plugin/engine"
)

const (
	// standstillWait is how long nobody must have started the plugin: the engine unmounts what a plugin had after it has given it up, and a
	// plugin that is enabled meanwhile, or twice at once, loses the folder in which containers see its mounts.
	standstillWait = 3 * time.Second
	// endingTimes is how many times longer the engine may have the folder of the plugin's socket: it ends a process that has not listened in
	// time, for 20 s (FACTS 1). One that cannot end keeps its folder, and is left to the next look.
	endingTimes = 10
	// upgradeTimes is how many times longer an upgrade that was killed is left alone: the engine may go on with it.
	upgradeTimes = 20
	// askLimit bounds each question to the engine.
	askLimit = 10 * time.Second

	// Files of the run folder that count, and how often per hour a plugin is enabled: one that dies again and again is looked at by a person,
	// who is told once.
	reviveTally, complaintTally = "revived", "revive-complaints"
	revivals                    = 3
	reviveHour                  = time.Hour
)

func (s *session) hostRevive() *cobra.Command {
	var wait time.Duration
	command := &cobra.Command{
		Use: "revive", Short: "Enable the plugin again when the engine gave it up; what the timer does",
		Long: "Enable the plugin again when the engine gave it up, or an upgrade was interrupted; what the timer does each half minute.\n\n" +
			"The engine starts a plugin again that dies, and disables it when it does not find its socket then: because it died once more at\n" +
			"that very moment, or because the machine was too busy. A plugin that somebody disabled stays disabled. While docker.service is\n" +
			"not active nothing is done, and never more than three times an hour. An upgrade that was interrupted is left alone for a minute,\n" +
			"since the engine may go on with it.",
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error { return explained(s.revive(command.Context(), wait)) },
	}
	command.Flags().DurationVar(&wait, "wait", standstillWait, "how long nobody must have started it; it is left alone while the engine is ending it")
	return command
}

func (s *session) revive(ctx context.Context, wait time.Duration) error {
	if wait < time.Millisecond {
		return usageError{fmt.Errorf("--wait %s is too short; leave it out, or write a time such as 3s", wait)}
	}
	if s.pluginAnswers(ctx) {
		return nil
	}
	return onEngine(func(here *engine.Engine) error {
		if _, may, err := s.stopped(ctx, here, wait); err == nil && !may {
			return nil // nothing is left behind on a host without the plugin
		}
		end, err := s.turn(ctx, 0)
		if errors.Is(err, errNotOurTurn) {
			return nil
		}
		if err != nil {
			return err
		}
		defer end()
		return s.enableAgain(ctx, here, wait)
	})
}

// enableAgain enables the plugin when nobody else does.
func (s *session) enableAgain(ctx context.Context, here *engine.Engine, wait time.Duration) error {
	plugin, stands, err := s.standstill(ctx, here, wait)
	if err != nil || !stands {
		return err
	}
	if may, err := s.mayRevive(plugin); err != nil || !may {
		return err
	}
	why := "which the engine had given up."
	var settings []string
	if record, err := s.unfinished(); err == nil && record.Plugin == plugin.Name {
		why = "which an upgrade had left disabled. Repeat it if docker homelab status does not show the new version."
		settings = lost(record, plugin)
	}
	if err := here.EnableWith(ctx, plugin.Name, settings, s.tell); err != nil {
		return err
	}
	return errors.Join(s.done("Enabled %s again, %s", plugin.Name, why), s.startMissed(ctx, here, plugin))
}

// startMissed starts the containers that could not start while the plugin was disabled: the engine does not try again by itself.
func (s *session) startMissed(ctx context.Context, here *engine.Engine, plugin engine.Plugin) error {
	started, err := here.StartFailed(ctx, func(text string) bool { return strings.Contains(text, "looking up volume plugin "+plugin.Name+": ") })
	for _, container := range started {
		err = errors.Join(err, s.done("Started %s, which could not start without the plugin.", container))
	}
	return err
}

// mayRevive counts one more, unless that would be one too many within the hour; the error says so once.
func (s *session) mayRevive(plugin engine.Plugin) (may bool, err error) {
	folder := s.machine().RunFolder()
	lately, err := tally.Take(folder, reviveTally, revivals, reviveHour)
	if err != nil {
		return false, fmt.Errorf("%s is not enabled, since how often that was done cannot be recorded: %w", plugin.Name, err)
	}
	if lately < revivals {
		return true, nil
	}
	if complaints, err := tally.Take(folder, complaintTally, 1, reviveHour); err != nil || complaints > 0 {
		return false, err
	}
	return false, fmt.Errorf("%[1]s does not stay enabled; it was tried %[2]d times within the last hour, and is tried again when that is over. "+
		"Look for its last words in journalctl --unit docker; at once: docker plugin enable %[1]s", plugin.Name, lately)
}

// pluginAnswers says whether any plugin of ours does: the engine need not be asked then.
func (s *session) pluginAnswers(ctx context.Context) bool {
	sockets, _ := filepath.Glob(filepath.Join(s.machine().Root, pluginFolder, "*", socketName))
	for _, socket := range sockets {
		if answers(ctx, socket) {
			return true
		}
	}
	return false
}

// standstill looks for as long as it takes to be sure that nobody starts the plugin, and gives it then.
func (s *session) standstill(ctx context.Context, here *engine.Engine, wait time.Duration) (plugin engine.Plugin, stands bool, err error) {
	ticker := time.NewTicker(wait / 3) //nolint:mnd // often enough to see one that somebody starts
	defer ticker.Stop()
	var calm time.Time // since when the engine has nothing to do with it any more
	for began := time.Now(); ; {
		asked := time.Now()
		plugin, stands, err = s.stopped(ctx, here, wait)
		if err != nil || !stands {
			return plugin, false, err
		}
		switch ending := s.ending(plugin); {
		case ending && asked.Sub(began) >= endingTimes*wait:
			return plugin, false, nil
		case ending:
			calm = time.Time{}
		case calm.IsZero():
			calm = time.Now()
		case asked.Sub(calm) >= wait:
			return plugin, true, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return plugin, false, ctx.Err()
		}
	}
}

// ending says whether the engine may still be ending the plugin's last process: it has its folder, which goes with the process.
func (s *session) ending(plugin engine.Plugin) bool {
	_, err := os.Stat(filepath.Join(s.machine().Root, pluginFolder, plugin.ID))
	return err == nil
}

// stopped finds the plugin when the engine has given it up, or an upgrade has left it disabled some time ago. An engine that does not run is
// not asked, for that would start it.
func (s *session) stopped(ctx context.Context, here *engine.Engine, wait time.Duration) (plugin engine.Plugin, given bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	if runs, err := s.machine().EngineRuns(ctx); err != nil || !runs {
		return plugin, false, err
	}
	all, err := here.Installed(ctx, socketName)
	if err != nil {
		return plugin, false, err
	}
	if len(all) == 0 || slices.ContainsFunc(all, func(one engine.Plugin) bool { return one.Enabled }) {
		return plugin, false, nil // the engine starts it, or is about to give it up; two are too many
	}
	record, unreadable := s.unfinished()
	var found []engine.Plugin
	for _, one := range all {
		given, err := here.GivenUp(ctx, one)
		if err != nil {
			return plugin, false, err
		}
		if given || left(record, one, wait) {
			found = append(found, one)
		}
	}
	if len(found) != 1 {
		return plugin, false, unreadable
	}
	return found[0], true, nil
}
