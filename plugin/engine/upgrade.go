package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/docker/docker/api/types"
)

// ErrDown says that no version of the plugin runs after an upgrade that failed.
var ErrDown = errors.New("no version of the plugin runs")

// Say tells the operator a line.
type Say func(format string, arguments ...any)

// UpgradeOptions are what an upgrade needs of its caller.
type UpgradeOptions struct {
	Settings  []string // those that the plugin is to have, as of [Engine.Settings]
	Disabling func()   // is called before the plugin is disabled, and again when it may have run meanwhile
	Say       Say
}

// upgrade is one replacement of a plugin by another version.
type upgrade struct {
	engine   *Engine
	root     string // of the engine
	old      *types.Plugin
	back     archive
	disabled bool // by this upgrade, or before it

	UpgradeOptions
}

// Upgrade replaces a plugin by the version that a reference names, in a registry, or that is in a folder (as scripts/build-plugin
// makes it; its name begins with "/" or "."). Settings are kept and containers run on: their mounts are not touched. Whatever
// fails, the old version runs again, and the error says so; it matches [ErrDown] when none does. It is refused while there are files under
// the mounts, which would be removed together with a version that is replaced. The context bounds what happens before the
// plugin is disabled: half an upgrade would be worse than a late one.
func (e *Engine) Upgrade(ctx context.Context, name, from string, options UpgradeOptions) error {
	old, _, err := e.client.PluginInspectWithRaw(ctx, name)
	if err != nil {
		return fmt.Errorf("asking the Docker engine for the plugin %s: %w", name, err)
	}
	info, err := e.client.Info(ctx)
	if err != nil {
		return fmt.Errorf("asking the Docker engine for its folder: %w", err)
	}
	u := &upgrade{engine: e, root: info.DockerRootDir, old: old, disabled: !old.Enabled, UpgradeOptions: options}
	if u.back, err = archiveOf(old, info.DockerRootDir); err != nil {
		return err
	}
	if err := u.look(ctx); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	if isFolder(from) {
		return u.fromFolder(ctx, from)
	}
	return u.fromRegistry(ctx, from)
}

func isFolder(from string) bool { return strings.HasPrefix(from, "/") || strings.HasPrefix(from, ".") }

// fromRegistry asks the registry first, which is when the engine's client asks for the permissions; the plugin is disabled then.
func (u *upgrade) fromRegistry(ctx context.Context, reference string) error {
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, cancel)
	asked := false
	answer, err := u.engine.client.PluginUpgrade(working, u.old.Name, types.PluginInstallOptions{
		RemoteRef: reference,
		AcceptPermissionsFunc: func(context.Context, types.PluginPrivileges) (bool, error) {
			if !stop() {
				return false, ctx.Err()
			}
			asked = true
			if err := u.disable(working); err != nil {
				return false, err
			}
			return true, u.look(working)
		},
	})
	if err == nil {
		err = told(answer)
	}
	if err != nil && !asked {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	if err != nil {
		return u.stay(working, err)
	}
	return u.finish(working)
}

// told reads the engine's report of a download to its end, where an error may be.
func told(answer io.ReadCloser) (err error) {
	defer func() { err = errors.Join(err, answer.Close()) }()
	for lines := json.NewDecoder(answer); ; {
		var line struct {
			Error string `json:"error"`
		}
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("the Docker engine's report is not understood: %w", err)
		case line.Error != "":
			return errors.New(line.Error)
		}
	}
}

// fromFolder replaces the plugin as a whole: the engine upgrades from registries only.
func (u *upgrade) fromFolder(ctx context.Context, folder string) error {
	fresh, err := archiveOfFolder(folder)
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	working := context.WithoutCancel(ctx)
	if err := u.disable(working); err != nil {
		return u.stay(working, err)
	}
	if err := u.look(working); err != nil {
		return u.stay(working, err)
	}
	if err := u.replace(working, fresh); err != nil {
		return u.putBack(working, err)
	}
	return u.finish(working)
}

func (u *upgrade) disable(ctx context.Context) error {
	if u.disabled {
		return nil
	}
	u.Disabling()
	if err := u.engine.disable(ctx, u.old.Name); err != nil {
		u.disabled = !u.enabled(ctx) // the engine may have failed when it had ended it
		return err
	}
	u.disabled = true
	u.Say("Disabled %s; containers run on.", u.old.Name)
	return nil
}

// enabled says whether the old version certainly is.
func (u *upgrade) enabled(ctx context.Context) bool {
	plugin, _, err := u.engine.client.PluginInspectWithRaw(ctx, u.old.Name)
	return err == nil && plugin.Enabled
}

// finish sets what the engine forgets and enables the new version.
func (u *upgrade) finish(ctx context.Context) error {
	if err := u.engine.EnableWith(ctx, u.old.Name, u.Settings, u.Say); err != nil {
		return u.putBack(ctx, err)
	}
	u.Say("Enabled %s, with the settings that it had.", u.old.Name)
	return nil
}

// stay enables the old version, which the engine has kept.
func (u *upgrade) stay(ctx context.Context, why error) error {
	if !u.disabled {
		return fmt.Errorf("nothing was changed: %w", why)
	}
	if err := u.engine.EnableWith(ctx, u.old.Name, u.Settings, u.Say); err != nil {
		return u.putBack(ctx, errors.Join(why, err))
	}
	return fmt.Errorf("the upgrade failed, and the old version of %s is enabled again: %w", u.old.Name, why)
}

// putBack installs the old version anew.
func (u *upgrade) putBack(ctx context.Context, why error) error {
	u.Disabling()
	_ = u.engine.disable(ctx, u.old.Name) // it may be disabled
	next := "when nothing is in the way of that: docker homelab upgrade, to a version that starts"
	err := u.look(ctx)
	if err == nil {
		next = "docker plugin ls, and install one with the name and the settings that it had"
		err = u.replace(ctx, u.back)
	}
	if err == nil {
		next = "docker plugin enable " + u.old.Name
		err = u.engine.EnableWith(ctx, u.old.Name, u.Settings, u.Say)
	}
	if err != nil {
		u.Disabling()
		return fmt.Errorf("the upgrade failed, and the old version could not be put back: %w, and no volume of %s can be mounted on this node until "+
			"one does (%s). Containers run on. The upgrade: %w; the way back: %w", ErrDown, u.old.Name, next, why, err)
	}
	return fmt.Errorf("the upgrade failed, and the old version of %s was put back: %w", u.old.Name, why)
}

// look refuses to go on while there are files under the mounts of the version that is there now, which may have another ID than the old
// one: they would be removed with it. It is asked again when the plugin is disabled, since a container that starts at that moment gets the
// bare folder, and nothing hides it any more.
func (u *upgrade) look(ctx context.Context) error {
	now, _, err := u.engine.client.PluginInspectWithRaw(ctx, u.old.Name)
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("asking the Docker engine for the plugin %s: %w", u.old.Name, err)
	}
	if err := leftovers(u.root, now.ID); err != nil {
		return fmt.Errorf("files would be lost with the version that is replaced: %w", err)
	}
	return nil
}

// replace puts an archive in the plugin's place.
func (u *upgrade) replace(ctx context.Context, with archive) error {
	err := u.engine.client.PluginRemove(ctx, u.old.Name, types.PluginRemoveOptions{Force: true})
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("removing the version before: %w", err)
	}
	if err := u.engine.client.PluginCreate(ctx, bytes.NewReader(with), types.PluginCreateOptions{RepoName: u.old.Name}); err != nil {
		return fmt.Errorf("installing %s: %w", u.old.Name, err)
	}
	return nil
}
