package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/homelab-storage/homelab-storage/integration/lab/box"
	"github.com/homelab-storage/homelab-storage/integration/lab/machine"
	"github.com/homelab-storage/homelab-storage/integration/lab/remote"
)

// agentPackage is built for the guests and for the host side alike.
const agentPackage = "./integration/lab/agent"

// buildAgent compiles the agent into the cache, under the name of its content.
func (b *builder) buildAgent(ctx context.Context) error {
	temporary, err := os.CreateTemp(b.Cache, "tmp-agent-*")
	if err != nil {
		return err
	}
	if err := temporary.Close(); err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=",
		"-o", temporary.Name(), agentPackage)
	build.Dir = b.Module
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the lab's agent: %w\n%s", err, output)
	}
	binary, err := os.ReadFile(temporary.Name())
	if err != nil {
		return err
	}
	b.agentKey = key(string(binary))
	b.agent = filepath.Join(b.Cache, "agent-"+b.agentKey)
	return os.Rename(temporary.Name(), b.agent)
}

// inBox runs work in a box of its own, so that neither a mount nor a process outlives this one.
func (b *builder) inBox(ctx context.Context, network bool, work func(*box.Box) error) error {
	in, err := box.Start(ctx, box.Options{Agent: b.agent, HostNetwork: network, Log: os.Stderr})
	if err != nil {
		return err
	}
	if err := work(in); err != nil {
		_ = in.Stop() // the work's error says more
		return err
	}
	return in.Stop()
}

// script runs one of the build scripts at low priority; its output is part of its error.
func (b *builder) script(ctx context.Context, in *box.Box, name string, arguments ...string) error {
	text, err := files.ReadFile(name)
	if err != nil {
		return err
	}
	words := []string{"nice sh -s --"}
	for _, argument := range arguments {
		words = append(words, machine.Quote(argument))
	}
	var output bytes.Buffer
	code, err := in.Run(ctx, remote.Command{Script: strings.Join(words, " "), Stdin: bytes.NewReader(text), Stdout: &output, Stderr: &output})
	if err == nil && code != 0 {
		err = fmt.Errorf("exit code %d", code)
	}
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, output.String())
	}
	return nil
}

// unpack writes an embedded folder into a new temporary folder and returns the latter.
func unpack(folder string) (string, error) {
	target, err := os.MkdirTemp("", "homelab-storage-lab-*")
	if err != nil {
		return "", err
	}
	sub, err := fs.Sub(files, folder)
	if err != nil {
		return "", err
	}
	return target, os.CopyFS(target, sub)
}

// digest is the hash of an embedded file, or of all files of an embedded folder.
func digest(name string) string {
	hash := sha256.New()
	err := fs.WalkDir(files, name, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := files.ReadFile(path)
		_, _ = fmt.Fprintf(hash, "%s %d\n%s", path, len(content), content) // a hash never fails
		return err
	})
	if err != nil {
		panic(err) // only a wrong name, which is a constant of this package
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// key joins inputs to a short name for what they make.
func key(inputs ...string) string {
	hash := sha256.New()
	for _, input := range inputs {
		_, _ = fmt.Fprintf(hash, "%d %s\n", len(input), input)
	}
	return hex.EncodeToString(hash.Sum(nil))[:16]
}
