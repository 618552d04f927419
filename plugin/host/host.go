package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/scripts/units"
)

const (
	// unitFolder is where an administrator's units are (systemd.unit(5)).
	unitFolder = "etc/systemd/system"
	// systemdFolder is there when systemd runs the host (sd_booted(3)).
	systemdFolder = "run/systemd/system"
)

// Host is the machine.
type Host struct {
	// Root is the folder that stands for "/".
	Root string
	// Run runs a program of the host and returns what it printed and its exit code.
	Run func(ctx context.Context, name string, arguments ...string) (output string, code int, err error)
	// Program is where the host has the command `docker homelab`.
	Program string
}

// Unit is how one unit is.
type Unit struct {
	Name string `json:"name"`
	// File is "installed", "changed" (it, or a file that belongs to it, is not what this version writes) or "missing".
	File    string `json:"file"`
	Enabled string `json:"enabled"` // as systemctl is-enabled says
	Active  string `json:"active"`  // as systemctl is-active says
}

// Install writes the units and an addition to the engine's, and has systemd start them now and at every boot. The engine waits for
// the pools for so long at most. It is repeated without harm.
func (h *Host) Install(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return fmt.Errorf("the engine cannot wait for %s; give a time such as 5m", wait)
	}
	if err := h.hasSystemd(); err != nil {
		return err
	}
	if _, err := os.Stat(path.Join(h.Root, h.Program)); err != nil {
		return fmt.Errorf("the units need the command %s, which is not there: docker plugin set homelab-storage INSTALL_CLI=true, while the plugin is disabled: %w", h.Program, err)
	}
	steps := [][]string{{"daemon-reload"}}
	for _, file := range units.All() {
		if err := h.write(path.Join(unitFolder, file.Name), file.Text(h.Program, wait)); err != nil {
			return err
		}
		if file.Enabled {
			steps = append(steps, []string{"enable", file.Name}, []string{"start", "--no-block", file.Name})
		}
	}
	for _, arguments := range steps {
		if err := h.systemctl(ctx, arguments...); err != nil {
			return err
		}
	}
	return nil
}

// Remove takes the units and the addition away again, without doing what they do at shutdown: pools in use stay mounted. It is repeated
// without harm.
func (h *Host) Remove(ctx context.Context) (removed bool, err error) {
	there := slices.DeleteFunc(units.All(), func(file units.File) bool {
		_, err := os.Lstat(path.Join(h.Root, unitFolder, file.Name))
		return errors.Is(err, fs.ErrNotExist)
	})
	if len(there) == 0 {
		return false, nil
	}
	for _, file := range slices.Backward(there) { // a timer before its service
		if file.Enabled {
			if err := h.systemctl(ctx, "disable", file.Name); err != nil {
				return false, err
			}
		}
		if !file.ActsWhenStopped && path.Dir(file.Name) == "." {
			h.stop(ctx, file.Name)
		}
	}
	for _, file := range there {
		if err := h.removeUnit(file.Name); err != nil {
			return false, err
		}
	}
	if err := h.systemctl(ctx, "daemon-reload"); err != nil {
		return true, err
	}
	for _, file := range there {
		if file.ActsWhenStopped { // only now: without its file it does nothing
			h.stop(ctx, file.Name)
		}
	}
	return true, nil
}

// stop stops a unit, and has it forgotten that it failed. One that systemd does not know is stopped.
func (h *Host) stop(ctx context.Context, unit string) {
	_ = h.systemctl(ctx, "stop", unit)
	_ = h.systemctl(ctx, "reset-failed", unit)
}

// Status tells how the units are.
func (h *Host) Status(ctx context.Context) ([]Unit, error) {
	if err := h.hasSystemd(); err != nil {
		return nil, err
	}
	var list []Unit
	changed := false
	for _, file := range units.All() {
		text, err := os.ReadFile(path.Join(h.Root, unitFolder, file.Name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("reading a unit: %w", err)
		}
		changed = changed || !h.ours(file, string(text))
		if !file.Enabled {
			continue
		}
		unit := Unit{Name: file.Name, File: "installed"}
		switch {
		case err != nil:
			unit.File = "missing"
		case changed:
			unit.File = "changed"
		}
		if unit.Enabled, err = h.ask(ctx, "is-enabled", file.Name); err == nil {
			unit.Active, err = h.ask(ctx, "is-active", file.Name)
		}
		if err != nil {
			return nil, err
		}
		list, changed = append(list, unit), false
	}
	return list, nil
}

// ours says whether a text is this version's file, with any time.
func (h *Host) ours(file units.File, text string) bool {
	_, after, _ := strings.Cut(text, "--timeout ")
	line, _, _ := strings.Cut(after, "\n")
	wait, _ := time.ParseDuration(strings.TrimSpace(line)) // 0 where there is none
	return text == file.Text(h.Program, wait)
}

// EngineRuns says whether the engine's unit is active, for who must not start it: systemd listens on the engine's socket, and starts it
// for whoever asks. Without systemd nobody starts it.
func (h *Host) EngineRuns(ctx context.Context) (bool, error) {
	if _, err := os.Stat(path.Join(h.Root, systemdFolder)); errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	answer, err := h.ask(ctx, "is-active", "docker.service")
	return answer == "active", err
}

// ask asks systemd about a unit; the code of its answer says what its text says.
func (h *Host) ask(ctx context.Context, question, unit string) (string, error) {
	output, _, err := h.Run(ctx, "systemctl", question, unit)
	if err != nil {
		return "", fmt.Errorf("asking systemd: %w", err)
	}
	return cmp.Or(strings.TrimSpace(output), "no"), nil
}

func (h *Host) hasSystemd() error {
	if _, err := os.Stat(path.Join(h.Root, systemdFolder)); err != nil {
		return fmt.Errorf("this host was not booted with systemd, so there is nothing to install units into: %w", err)
	}
	return nil
}

func (h *Host) systemctl(ctx context.Context, arguments ...string) error {
	output, code, err := h.Run(ctx, "systemctl", arguments...)
	if err == nil && code != 0 {
		err = fmt.Errorf("exit code %d: %s", code, strings.TrimSpace(output))
	}
	if err != nil {
		return fmt.Errorf("systemctl %s: %w", strings.Join(arguments, " "), err)
	}
	return nil
}
