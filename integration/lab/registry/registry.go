// Package registry serves one managed plugin for docker plugin install: the reading half of the distribution API, over HTTP
// (https://distribution.github.io/distribution/spec/api/). The layer is compressed here, once. Making a plugin of a folder in each
// virtual machine (docker plugin create) costs an emulated processor 25 s, most of it gzip.
package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Media types of a plugin's parts (distribution's manifest schema 2, moby's plugin package).
const (
	manifestType = "application/vnd.docker.distribution.manifest.v2+json"
	configType   = "application/vnd.docker.plugin.v1+json"
	layerType    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// Plugin is a plugin as a registry has it: its blobs by their digests, and its manifest.
type Plugin struct {
	name, tag string
	manifest  []byte
	blobs     map[string][]byte
}

// Read makes name:tag of a folder with config.json and rootfs, as docker plugin create would.
func Read(folder, name, tag string) (*Plugin, error) {
	plugin := &Plugin{name: name, tag: tag, blobs: map[string][]byte{}}
	layer, content, err := pack(filepath.Join(folder, "rootfs"))
	if err != nil {
		return nil, fmt.Errorf("pack the plugin's root file system: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "config.json"))
	if err != nil {
		return nil, err
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("read the plugin's config.json: %w", err)
	}
	config["rootfs"] = map[string]any{"type": "layers", "diff_ids": []string{content}}
	if text, err = json.Marshal(config); err != nil {
		return nil, err
	}
	plugin.manifest, err = json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": plugin.add(configType, text), "layers": []any{plugin.add(layerType, layer)},
	})
	return plugin, err
}

// add keeps a blob and describes it.
func (p *Plugin) add(mediaType string, blob []byte) map[string]any {
	name := digest(blob)
	p.blobs[name] = blob
	return map[string]any{"mediaType": mediaType, "size": len(blob), "digest": name}
}

func digest(blob []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(blob)) }

// pack makes a compressed archive of a folder, and tells the digest of the archive itself.
func pack(folder string) (layer []byte, content string, err error) {
	var archive, packed bytes.Buffer
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, "", err
	}
	defer root.Close() //nolint:errcheck // only read
	writer := tar.NewWriter(&archive)
	if err := writer.AddFS(root.FS()); err != nil {
		return nil, "", err
	}
	if err := writer.Close(); err != nil {
		return nil, "", err
	}
	compress := gzip.NewWriter(&packed)
	if _, err := compress.Write(archive.Bytes()); err != nil {
		return nil, "", err
	}
	if err := compress.Close(); err != nil {
		return nil, "", err
	}
	return packed.Bytes(), digest(archive.Bytes()), nil
}

// ServeHTTP answers what a pull asks.
func (p *Plugin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	of := "/v2/" + p.name
	if r.URL.Path == "/v2/" {
		_, _ = io.WriteString(w, "{}")
		return
	}
	if reference, ok := strings.CutPrefix(r.URL.Path, of+"/manifests/"); ok && (reference == p.tag || reference == digest(p.manifest)) {
		w.Header().Set("Docker-Content-Digest", digest(p.manifest))
		send(w, r, manifestType, p.manifest)
		return
	}
	name, _ := strings.CutPrefix(r.URL.Path, of+"/blobs/")
	if blob := p.blobs[name]; blob != nil {
		send(w, r, "application/octet-stream", blob)
		return
	}
	http.NotFound(w, r)
}

func send(w http.ResponseWriter, r *http.Request, mediaType string, content []byte) {
	w.Header().Set("Content-Type", mediaType)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}
