package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// registryConfig is all that Debian's docker-registry needs. 127.0.0.0/8 is what an engine trusts without TLS.
const registryConfig = `version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}
http: {addr: %q}
`

// StartRegistry runs a registry in the host, until the host ends, and returns its address for image names. Other programs
// of the machine cannot reach it, nor it them.
func (e *Engine) StartRegistry(ctx context.Context) (string, error) {
	const address = "127.0.0.1:5000"
	file := filepath.Join(e.folder, "registry.yaml")
	content := fmt.Sprintf(registryConfig, filepath.Join(e.folder, "registry"), address)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		return "", fmt.Errorf("engine: %w", err)
	}
	command := e.Command(context.WithoutCancel(ctx), "docker-registry", "serve", file)
	if err := command.Start(); err != nil {
		return "", fmt.Errorf("engine: start docker-registry: %w", err)
	}
	go func() { _ = command.Wait() }() // it ends with the host
	return address, poll(ctx, func() error {
		_, err := e.Run(ctx, "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/5000")
		return err
	})
}
