package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// CLIPluginFile is where the Docker CLI of the host finds `docker homelab` (docker/cli cli-plugins/manager, Linux).
const CLIPluginFile = "/usr/local/lib/docker/cli-plugins/docker-homelab"

// Install puts a copy of a program at a place, atomically, and says whether it had to: the same program is left as it is.
func Install(program, target string) (changed bool, err error) {
	if same(program, target) {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return false, fmt.Errorf("making the folder of Docker CLI plugins: %w", err)
	}
	fresh := target + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("removing what an interrupted installation left: %w", err)
	}
	if err := copyProgram(program, fresh); err != nil {
		return false, fmt.Errorf("copying the command to %s: %w", target, errors.Join(err, os.Remove(fresh)))
	}
	if err := os.Rename(fresh, target); err != nil {
		return false, fmt.Errorf("installing %s: %w", target, err)
	}
	return true, nil
}

func copyProgram(from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755) //nolint:gosec // a program is for everybody to run
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := io.Copy(file, source); err != nil {
		return err
	}
	if err := file.Chmod(0o755); err != nil { // whatever the umask
		return err
	}
	return file.Sync()
}

// same compares two files; one that cannot be read is not the same.
func same(a, b string) bool {
	one, err := os.Open(a)
	if err != nil {
		return false
	}
	defer one.Close() //nolint:errcheck // only read
	other, err := os.Open(b)
	if err != nil {
		return false
	}
	defer other.Close() //nolint:errcheck // only read
	return equal(bufio.NewReaderSize(one, 1<<16), bufio.NewReaderSize(other, 1<<16))
}

func equal(a, b io.Reader) bool {
	left, right := make([]byte, 1<<16), make([]byte, 1<<16)
	for {
		n, errLeft := io.ReadFull(a, left)
		m, errRight := io.ReadFull(b, right)
		if !bytes.Equal(left[:n], right[:m]) {
			return false
		}
		if errLeft != nil || errRight != nil {
			return isEnd(errLeft) && isEnd(errRight)
		}
	}
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
