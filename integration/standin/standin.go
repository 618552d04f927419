package standin

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Name is what the image is called by those who import it.
const Name = "stand-in:latest"

// programs are what must be installed: package busybox-static and package sqlite3.
const (
	busybox = "/bin/busybox"
	sqlite  = "sqlite3"
)

// Write writes the image as the archive that `docker import -` reads.
func Write(ctx context.Context, w io.Writer) error {
	files, err := sqliteFiles(ctx)
	if err != nil {
		return err
	}
	applets, err := applets(ctx)
	if err != nil {
		return err
	}
	image := &archive{writer: tar.NewWriter(w)}
	image.file(busybox, busybox)
	for _, applet := range applets {
		image.add(&tar.Header{Typeflag: tar.TypeSymlink, Name: applet, Linkname: busybox, Mode: 0o777}, nil)
	}
	for _, to := range slices.Sorted(maps.Keys(files)) {
		image.file(to, files[to])
	}
	image.add(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}, nil)
	image.add(&tar.Header{Typeflag: tar.TypeDir, Name: "seeded/", Mode: 0o750, Uid: 1000, Gid: 1000}, nil)
	image.add(&tar.Header{Typeflag: tar.TypeReg, Name: "seeded/from-image", Mode: 0o640, Uid: 1000, Gid: 1000, Size: 3}, strings.NewReader("ok\n"))
	return errors.Join(image.err, image.writer.Close())
}

// applets are busybox's names, as paths in the image.
func applets(ctx context.Context) ([]string, error) {
	list, err := exec.CommandContext(ctx, busybox, "--list-full").Output()
	if err != nil {
		return nil, fmt.Errorf("stand-in image: list the applets of %s (package busybox-static): %w", busybox, err)
	}
	var names []string
	for name := range strings.FieldsSeq(string(list)) {
		if "/"+name != busybox {
			names = append(names, name)
		}
	}
	return names, nil
}

// sqliteFiles maps paths in the image to files of the machine: sqlite3, its libraries and their loader.
func sqliteFiles(ctx context.Context) (map[string]string, error) {
	program, err := exec.LookPath(sqlite)
	if err != nil {
		return nil, fmt.Errorf("stand-in image: sqlite3 is missing (package sqlite3): %w", err)
	}
	libraries, err := exec.CommandContext(ctx, "ldd", program).Output()
	if err != nil {
		return nil, fmt.Errorf("stand-in image: libraries of %s: %w", program, err)
	}
	files := map[string]string{"/usr/bin/sqlite3": program}
	// "libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x...)" or, the loader, "/lib64/ld-linux-x86-64.so.2 (0x...)"
	for field := range strings.FieldsSeq(string(libraries)) {
		if strings.HasPrefix(field, "/") {
			files[field] = field
		}
	}
	return files, nil
}

// archive writes files until the first error, which it keeps.
type archive struct {
	writer *tar.Writer
	err    error
}

func (a *archive) add(header *tar.Header, content io.Reader) {
	if a.err != nil {
		return
	}
	if a.err = a.writer.WriteHeader(header); a.err != nil || content == nil {
		return
	}
	_, a.err = io.Copy(a.writer, content)
}

// file adds an executable of the machine.
func (a *archive) file(to, from string) {
	if a.err != nil {
		return
	}
	source, err := filepath.EvalSymlinks(from)
	if err != nil {
		a.err = fmt.Errorf("stand-in image: %w", err)
		return
	}
	content, err := os.ReadFile(source)
	if err != nil {
		a.err = fmt.Errorf("stand-in image: %w", err)
		return
	}
	a.add(&tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(to, "/"), Mode: 0o755, Size: int64(len(content))}, bytes.NewReader(content))
}
