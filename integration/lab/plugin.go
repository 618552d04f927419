package lab

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/integration/lab/registry"
)

// registryPort is where the lab's registry listens, beside the NAS; the nodes' engines are told to trust it (image/build/image.sh).
const registryPort = "5000"

// pluginName is what nodes know the plugin by, and the name of its process.
const pluginName = "homelab-storage"

// InstallPlugin installs the managed plugin of a folder that scripts/build-plugin made, from a registry, with its settings, and enables it.
func (n *Node) InstallPlugin(ctx context.Context, folder string, settings ...string) error {
	reference, err := n.lab.publish(folder)
	if err != nil {
		return err
	}
	_, err = n.Output(ctx, strings.Join([]string{
		"docker plugin install --alias " + pluginName + " --grant-all-permissions " + reference + " " + strings.Join(settings, " "),
		"sync", // the engine does not flush a plugin's files, and a test that cuts the power is not about that
	}, " && "))
	return err
}

// publish starts the lab's registry with a plugin, unless it runs, and returns the plugin's reference. A lab has one plugin.
func (l *Lab) publish(folder string) (reference string, err error) {
	const tag = "lab"
	l.mutex.Lock()
	defer l.mutex.Unlock()
	address := net.JoinHostPort(nasAddress, registryPort)
	reference = address + "/" + pluginName + ":" + tag
	if l.registry != nil {
		return reference, nil
	}
	plugin, err := registry.Read(folder, pluginName, tag)
	if err != nil {
		return "", err
	}
	listener, err := l.box.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	l.registry = &http.Server{Handler: plugin, ReadHeaderTimeout: time.Minute}
	go func() { _ = l.registry.Serve(listener) }() // until Stop
	return reference, nil
}

// PluginPool are the plugin's settings for a pool on a LUN, which the plugin logs in to, finds by its device (UUID=..., LABEL=...)
// and mounts at a path.
func (n *NAS) PluginPool(lun, device, path string) []string {
	return []string{
		"POOL_NAME=" + lun, "POOL_DEVICE=" + device, "POOL_PATH=" + path,
		"ISCSI_PORTAL=" + n.Portal(), "ISCSI_TARGET=" + n.Target(lun), "INSTALL_CLI=true",
	}
}
