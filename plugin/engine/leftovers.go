package engine

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/homelab-storage/homelab-storage/mounter"
)

// Leftovers refuses to remove a plugin that cannot look itself, since it is disabled, while the folder for its mounts has files: they
// would go with it. What is mounted there is not looked into; the engine unmounts it first.
func (e *Engine) Leftovers(ctx context.Context, plugin Plugin) error {
	info, err := e.client.Info(ctx)
	if err != nil {
		return fmt.Errorf("asking the Docker engine for its folder: %w", err)
	}
	return leftovers(info.DockerRootDir, plugin.ID)
}

func leftovers(engineRoot, id string) error {
	return mounter.FilesBelow(filepath.Join(engineRoot, "plugins", id, "propagated-mount"))
}
