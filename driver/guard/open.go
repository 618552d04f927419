package guard

import (
	"context"
	"os"
	"path"
	"slices"
	"syscall"
)

// nonblock keeps the opening of a FIFO or a device from waiting.
const nonblock = syscall.O_NONBLOCK

// maxAmong bounds how many files [Among] opens.
const maxAmong = 64

// Among finds the first database among some files below a directory, those that are named like one first: of files that programs
// write to. It opens at most 64 of them, and passes over what is gone. An error is the directory's own.
func Among(ctx context.Context, directory string, names []string) (Finding, error) {
	root, err := os.OpenRoot(directory)
	if err != nil {
		return Finding{}, err
	}
	defer func() { _ = root.Close() }()
	sorted := slices.Clone(names)
	slices.SortStableFunc(sorted, func(a, b string) int { return order(a) - order(b) })
	for _, name := range sorted[:min(len(sorted), maxAmong)] {
		if err := ctx.Err(); err != nil {
			return Finding{}, err
		}
		if kind, ok := is(root, name); ok {
			return Finding{Path: path.Clean(name), Kind: kind}, nil
		}
	}
	return Finding{}, nil
}

func order(name string) int {
	if likely(path.Base(name)) {
		return 0
	}
	return 1
}

// is looks at one file: at its name, and at its first bytes.
func is(root *os.Root, name string) (Kind, bool) {
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return "", false
	}
	kind, ok := byName(path.Base(name))
	if ok && kind == LevelDB {
		_, err := root.Lstat(path.Join(path.Dir(name), "CURRENT"))
		ok = err == nil
	}
	if ok {
		return kind, true
	}
	return readHeader(root, name)
}
