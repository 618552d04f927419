package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/scripts/units"
)

// unitFolder is where an administrator's units are (systemd.unit(5)).
const unitFolder = "etc/systemd/system"

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
	// File is "installed", "changed" (it, or its addition to the engine's unit, is not what this version writes) or "missing".
	File    string `json:"file"`
	Enabled string `json:"enabled"` // as systemctl is-enabled says
	Active  string `json:"active"`  // as systemctl is-active says
}

// Install writes the unit and an addition to the engine's, and has systemd start the unit now and at every boot. The engine waits for
// the pools for so long at most. It is repeated without harm.
func (h *Host) Install(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return fmt.Errorf("the engine cannot wait for %s; give a time such as 5m", wait)
	}
	if err := h.hasSystemd(); err != nil {
		return err
	}
	if _, err := os.Stat(path.Join(h.Root, h.Program)); err != nil {
		return fmt.Errorf("the unit needs the command %s, which is not there: docker plugin set homelab-storage INSTALL_CLI=true, while the plugin is disabled: %w", h.Program, err)
	}
	err := errors.Join(
		h.write(path.Join(unitFolder, units.Pools), units.PoolsUnit(h.Program, wait)),
		h.write(path.Join(unitFolder, units.Engine), units.EngineAddition),
	)
	if err != nil {
		return err
	}
	for _, arguments := range [][]string{{"daemon-reload"}, {"enable", units.Pools}, {"start", "--no-block", units.Pools}} {
		if err := h.systemctl(ctx, arguments...); err != nil {
			return err
		}
	}
	return nil
}

// Remove takes the unit and the addition away again, without doing what it does at shutdown: pools in use stay mounted. It is repeated
// without harm.
func (h *Host) Remove(ctx context.Context) (removed bool, err error) {
	file := path.Join(unitFolder, units.Pools)
	if _, err := os.Lstat(path.Join(h.Root, file)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err := h.systemctl(ctx, "disable", units.Pools); err != nil {
		return false, err
	}
	// The unit's file last: without it a repeated Remove has nothing to do.
	if err := h.removeAddition(); err != nil {
		return false, err
	}
	if err := h.remove(file); err != nil {
		return false, err
	}
	// Stopped only when its file is gone: a unit without one has no ExecStop.
	for _, arguments := range [][]string{{"daemon-reload"}, {"stop", units.Pools}} {
		if err := h.systemctl(ctx, arguments...); err != nil && arguments[0] != "stop" { // one that was not active is not known any more
			return true, err
		}
	}
	return true, nil
}

// Status tells how the units are.
func (h *Host) Status(ctx context.Context) ([]Unit, error) {
	if err := h.hasSystemd(); err != nil {
		return nil, err
	}
	unit := Unit{Name: units.Pools, File: "missing"}
	text, err := os.ReadFile(path.Join(h.Root, unitFolder, units.Pools))
	switch {
	case err == nil && h.ours(string(text)) && h.hasAddition():
		unit.File = "installed"
	case err == nil:
		unit.File = "changed"
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("reading the unit: %w", err)
	}
	for question, answer := range map[string]*string{"is-enabled": &unit.Enabled, "is-active": &unit.Active} {
		output, _, err := h.Run(ctx, "systemctl", question, units.Pools) // its code says what its text says
		if err != nil {
			return nil, fmt.Errorf("asking systemd: %w", err)
		}
		if *answer = strings.TrimSpace(output); *answer == "" {
			*answer = "no"
		}
	}
	return []Unit{unit}, nil
}

// hasAddition says whether the addition to the engine's unit is this version's.
func (h *Host) hasAddition() bool {
	text, err := os.ReadFile(path.Join(h.Root, unitFolder, units.Engine))
	return err == nil && string(text) == units.EngineAddition
}

// ours says whether a text is this version's unit, with any time.
func (h *Host) ours(text string) bool {
	_, after, found := strings.Cut(text, "--timeout ")
	line, _, _ := strings.Cut(after, "\n")
	wait, err := time.ParseDuration(strings.TrimSpace(line))
	return found && err == nil && text == units.PoolsUnit(h.Program, wait)
}

func (h *Host) hasSystemd() error {
	if _, err := os.Stat(path.Join(h.Root, "run/systemd/system")); err != nil { // sd_booted(3)
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
