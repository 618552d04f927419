//go:build integration

package integration

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/engine"
)

// stages splits a Dockerfile at its FROM lines; what stands before the first one is left out.
func stages(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../Dockerfile")
	assert.NilError(t, err)
	starts := regexp.MustCompile(`(?m)^FROM `).FindAllIndex(text, -1)
	var found []string
	for i, start := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		found = append(found, string(text[start[0]:end]))
	}
	return found
}

// The image's build stage cannot run here: its base image comes from a registry. What can be shown is shown: that the
// stage runs scripts/build-plugin and nothing else that makes files, and, on a real engine, that the last stage takes from it what
// scripts/build-plugin left, all of it and nothing more.
func TestDockerfileAndBuildPluginMakeTheSameFiles(t *testing.T) {
	found := stages(t)
	assert.Equal(t, len(found), 2)
	recipe := regexp.MustCompile(`(?m)^RUN .*$`).FindAllString(found[0], -1)
	assert.DeepEqual(t, recipe, []string{
		"RUN go mod download",
		"RUN VERSION=${VERSION} scripts/build-plugin ${TARGETARCH} && mv bin/plugin-* /out",
	})

	e := bare(t, engine.Options{})
	work := t.TempDir()
	assert.NilError(t, os.CopyFS(filepath.Join(work, "out"), os.DirFS(pluginFolder(t))))
	standIn := "FROM scratch AS build\nCOPY out /out\n"
	assert.NilError(t, os.WriteFile(filepath.Join(work, "Dockerfile"), []byte(standIn+found[1]), 0o600))
	ok(t, e, "build", "--build-arg", "VERSION=1.2.3", "--tag", "recipe", work)
	labels := ok(t, e, "inspect", "--format", `{{index .Config.Labels "org.opencontainers.image.version"}} {{join .Config.Entrypoint " "}}`, "recipe")
	assert.Equal(t, labels, "1.2.3 /homelab-storage")

	ok(t, e, "create", "--name", "recipe", "recipe")
	archive, err := e.DockerCommand(t.Context(), "export", "recipe").Output()
	assert.NilError(t, err)
	assert.DeepEqual(t, inArchive(t, archive), inFolder(t, filepath.Join(pluginFolder(t), "rootfs")))
}

// engineFiles are what an engine puts into every container.
var engineFiles = regexp.MustCompile(`^(\.dockerenv|dev|proc|sys|etc)(/|$)`)

// inArchive maps the files of a tar archive to mode and checksum.
func inArchive(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	files := map[string]string{}
	reader := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		assert.NilError(t, err)
		if header.Typeflag == tar.TypeReg && !engineFiles.MatchString(header.Name) {
			files[header.Name] = describe(t, fs.FileMode(header.Mode), reader)
		}
	}
}

func inFolder(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	assert.NilError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := os.Open(path)
		assert.NilError(t, err)
		defer func() { assert.NilError(t, file.Close()) }()
		info, err := file.Stat()
		assert.NilError(t, err)
		name, err := filepath.Rel(folder, path)
		assert.NilError(t, err)
		files[name] = describe(t, info.Mode().Perm(), file)
		return nil
	}))
	assert.Assert(t, len(files) > 0)
	return files
}

func describe(t *testing.T, mode fs.FileMode, content io.Reader) string {
	t.Helper()
	sum := sha256.New()
	_, err := io.Copy(sum, content)
	assert.NilError(t, err)
	return fmt.Sprintf("%s %x", mode, sum.Sum(nil))
}

// The version that was asked for is in the binary, the same input gives the same bytes, and the binary needs nothing.
func TestTheBuildIsStampedReproducibleAndStatic(t *testing.T) {
	build := func(folder string) []byte {
		command := exec.Command("../scripts/build-plugin")
		command.Env = append(os.Environ(), "VERSION=9.8.7-test", "BIN="+folder)
		text, err := command.CombinedOutput()
		assert.NilError(t, err, "%s", text)
		binary, err := os.ReadFile(filepath.Join(folder, "plugin-"+runtime.GOARCH, "rootfs", "homelab-storage"))
		assert.NilError(t, err)
		return binary
	}
	first := build(t.TempDir())
	assert.Assert(t, bytes.Equal(first, build(t.TempDir())))
	program := filepath.Join(t.TempDir(), "homelab-storage")
	assert.NilError(t, os.WriteFile(program, first, 0o700))
	version, err := exec.Command(program, "version").Output()
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(string(version), "9.8.7-test"), "%s", version)
	kind, err := exec.Command("ldd", program).CombinedOutput()
	assert.Assert(t, err != nil && strings.Contains(string(kind), "not a dynamic executable"), "%s", kind)
}
