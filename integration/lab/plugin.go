package lab

import (
	"context"
	"path/filepath"
	"strings"
)

// InstallPlugin creates the managed plugin from the folder that scripts/build-plugin made, with its settings, and enables it.
func (n *Node) InstallPlugin(ctx context.Context, folder string, settings ...string) error {
	const name, on = "homelab-storage", "/root/plugin"
	if err := n.Copy(ctx, filepath.Join(folder, "config.json"), on+"/config.json", 0o644); err != nil {
		return err
	}
	if err := n.Copy(ctx, filepath.Join(folder, "rootfs", name), on+"/rootfs/"+name, 0o755); err != nil {
		return err
	}
	_, err := n.Output(ctx, strings.Join([]string{
		"docker plugin create " + name + " " + on,
		"docker plugin set " + name + " " + strings.Join(settings, " "),
		"docker plugin enable " + name,
		"rm -r " + on,
		"sync", // the engine does not flush a plugin's files, and a test that cuts the power is not about that
	}, " && "))
	return err
}

// PluginPool are the plugin's settings for a pool on a LUN, which the plugin logs in to, finds by its device (UUID=..., LABEL=...)
// and mounts at a path.
func (n *NAS) PluginPool(lun, device, path string) []string {
	return []string{
		"POOL_NAME=" + lun, "POOL_DEVICE=" + device, "POOL_PATH=" + path,
		"ISCSI_PORTAL=" + n.Portal(), "ISCSI_TARGET=" + n.Target(lun), "INSTALL_CLI=true",
	}
}
