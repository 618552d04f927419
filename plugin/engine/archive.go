package engine

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/docker/docker/api/types"
)

// archive is what `docker plugin create` sends: config.json and rootfs. A plugin is one program, so that it is kept in memory.
type archive []byte

// archiveOfFolder packs a folder that scripts/build-plugin has made.
func archiveOfFolder(folder string) (archive, error) {
	config, err := os.ReadFile(path.Join(folder, "config.json"))
	if err != nil {
		return nil, fmt.Errorf("%s is no plugin's folder (it has config.json and rootfs, as scripts/build-plugin makes them): %w", folder, err)
	}
	return pack(config, path.Join(folder, "rootfs"))
}

// archiveOf packs an installed plugin, from the engine's own folder: the way back when the new version does not start.
func archiveOf(plugin *types.Plugin, engineRoot string) (archive, error) {
	config := plugin.Config
	config.Rootfs = nil // the engine fills it in
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	packed, err := pack(text, path.Join(engineRoot, "plugins", plugin.ID, "rootfs"))
	if err != nil {
		return nil, fmt.Errorf("the version that is installed cannot be kept as the way back; upgrade as root, on the node itself: %w", err)
	}
	return packed, nil
}

func pack(config []byte, rootfs string) (archive, error) {
	var packed bytes.Buffer
	writer := tar.NewWriter(&packed)
	if err := writer.WriteHeader(&tar.Header{Name: "config.json", Mode: 0o644, Size: int64(len(config))}); err != nil {
		return nil, err
	}
	if _, err := writer.Write(config); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(rootfs)
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return packEntry(writer, root, name, entry)
	})
	if err := errors.Join(err, root.Close(), writer.Close()); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// packEntry leaves out what is neither a file nor a folder: the engine makes devices and links of its own in a rootfs that runs.
func packEntry(writer *tar.Writer, root *os.Root, name string, entry fs.DirEntry) (err error) {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return nil
	}
	header, err := tar.FileInfoHeader(info, "")
	if err != nil {
		return err
	}
	header.Name = path.Join("rootfs", name)
	if info.IsDir() {
		header.Name += "/"
		return writer.WriteHeader(header)
	}
	if err := writer.WriteHeader(header); err != nil {
		return err
	}
	file, err := root.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = io.Copy(writer, file)
	return err
}
