package engine

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Docker runs the docker client against this engine and returns its standard output. The error of a command that failed
// is a [*Failure] with what it wrote to standard error.
func (e *Engine) Docker(ctx context.Context, args ...string) (string, error) {
	return output(e.DockerCommand(ctx, args...))
}

// DockerInput is [Engine.Docker] with something to read.
func (e *Engine) DockerInput(ctx context.Context, input io.Reader, args ...string) (string, error) {
	command := e.DockerCommand(ctx, args...)
	command.Stdin = input
	return output(command)
}

// DockerCommand is a docker command for this engine that has not started yet.
func (e *Engine) DockerCommand(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "docker", args...)
	command.Env = append(os.Environ(), e.Environment()...)
	return command
}

// Environment makes any client talk to this engine, with no configuration of its user.
func (e *Engine) Environment() []string {
	return []string{"DOCKER_HOST=" + e.Address(), "DOCKER_CONFIG=" + filepath.Join(e.folder, "client"), "DOCKER_BUILDKIT=0"}
}
