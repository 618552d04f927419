package registry_test

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab/registry"
)

// TestPull follows a pull from the tag to the last file, with every digest checked as the engine does.
func TestPull(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	assert.NilError(t, os.Mkdir(filepath.Join(folder, "rootfs"), 0o755))
	assert.NilError(t, os.WriteFile(filepath.Join(folder, "rootfs", "program"), []byte("a program"), 0o755))
	assert.NilError(t, os.WriteFile(filepath.Join(folder, "config.json"), []byte(`{"description": "a plugin"}`), 0o644))
	plugin, err := registry.Read(folder, "plugin", "lab")
	assert.NilError(t, err)
	get := func(path string, status int) string {
		t.Helper()
		answer := httptest.NewRecorder()
		plugin.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v2/"+path, http.NoBody))
		assert.Equal(t, answer.Code, status, path)
		return answer.Body.String()
	}
	get("", http.StatusOK)
	get("plugin/manifests/other", http.StatusNotFound)
	get("plugin/blobs/sha256:0", http.StatusNotFound)
	manifest := get("plugin/manifests/lab", http.StatusOK)
	assert.Equal(t, get("plugin/manifests/"+digest(manifest), http.StatusOK), manifest)
	type blob struct {
		Digest string
		Size   int
	}
	var parts struct {
		Config blob
		Layers []blob
	}
	assert.NilError(t, json.Unmarshal([]byte(manifest), &parts))
	var config struct {
		Description string
		Rootfs      struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	text := get("plugin/blobs/"+parts.Config.Digest, http.StatusOK)
	assert.NilError(t, json.Unmarshal([]byte(text), &config))
	assert.Equal(t, config.Description, "a plugin")
	layer := get("plugin/blobs/"+parts.Layers[0].Digest, http.StatusOK)
	assert.Equal(t, len(layer), parts.Layers[0].Size)
	assert.Equal(t, digest(layer), parts.Layers[0].Digest)
	assert.Equal(t, digest(unpacked(t, layer)), config.Rootfs.DiffIDs[0])
}

func digest(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }

func unpacked(t *testing.T, layer string) string {
	t.Helper()
	reader, err := gzip.NewReader(strings.NewReader(layer))
	assert.NilError(t, err)
	text, err := io.ReadAll(reader)
	assert.NilError(t, err)
	return string(text)
}
