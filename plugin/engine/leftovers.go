package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/homelab-storage/homelab-storage/internal/several"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// Leftovers refuses to remove a plugin that cannot look itself, since it is disabled, while the folder for its mounts has files: they
// would go with it. What is mounted there is not looked into; the engine unmounts it first.
func (e *Engine) Leftovers(ctx context.Context, plugin Plugin) error {
	info, err := e.client.Info(ctx)
	if err != nil {
		return fmt.Errorf("asking the Docker engine for its folder: %w", err)
	}
	folder := filepath.Join(info.DockerRootDir, "plugins", plugin.ID, "propagated-mount")
	volumes, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("looking for files under the volumes' mounts: %w", err)
	}
	var problems *multierror.Error
	for _, volume := range volumes {
		if volume.IsDir() && !strings.HasPrefix(volume.Name(), ".") {
			problems = several.Append(problems, mounter.FilesUnder(filepath.Join(folder, volume.Name())))
		}
	}
	return problems.ErrorOrNil()
}
