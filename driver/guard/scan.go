package guard

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// Limits bound a scan.
type Limits struct {
	Depth   int // how many folders down; 1 is the directory itself
	Entries int // how many names are looked at
	Files   int // how many files are opened
	// Likely leaves out every file that is not named like a database.
	Likely bool
}

// Quick is the scan before a Mount: it sees what an application has at the top of its directory.
func Quick() Limits { return Limits{Depth: 3, Entries: 2000, Files: 200} }

// Whole is the scan of a pool's volume that a quick one did not see through. It opens only what is named like a database.
func Whole() Limits { return Limits{Depth: 32, Entries: 100_000, Files: 2000, Likely: true} }

// Thorough is the scan of a share in the background. It opens only what is named like a database: on a share each file costs the
// network some round trips, and opening what another node writes takes its cache away.
func Thorough() Limits { return Limits{Depth: 8, Entries: 50_000, Files: 500, Likely: true} }

// Finding is one database file.
type Finding struct {
	Path string // below the scanned directory
	Kind Kind
}

// Result is what a scan saw.
type Result struct {
	// Found is the first database; its Path is empty when there is none.
	Found Finding
	// Complete says that the bounds left nothing out.
	Complete bool
}

// Database says whether one was found.
func (r Result) Database() bool { return r.Found.Path != "" }

// Scan looks for the first database below a directory, breadth first. A file that vanishes or cannot be read is passed
// over; an error of the directory itself is returned.
func Scan(ctx context.Context, directory string, limits Limits) (Result, error) {
	root, err := os.OpenRoot(directory)
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = root.Close() }()
	return scanRoot(ctx, root, limits)
}

func scanRoot(ctx context.Context, root *os.Root, limits Limits) (Result, error) {
	s := scan{root: root, left: limits, complete: true}
	level := []string{"."}
	for depth := 0; len(level) > 0; depth++ {
		if depth >= limits.Depth {
			return Result{}, nil
		}
		next, found, err := s.level(ctx, level)
		if err != nil || found.Path != "" {
			return Result{Found: found, Complete: s.complete}, err
		}
		level = next
	}
	return Result{Complete: s.complete}, nil
}

type scan struct {
	root     *os.Root
	left     Limits
	complete bool
}

// level scans the folders of one depth and returns those of the next.
func (s *scan) level(ctx context.Context, folders []string) (next []string, found Finding, err error) {
	for _, folder := range folders {
		if err := ctx.Err(); err != nil {
			return nil, Finding{}, err
		}
		entries, err := s.read(folder)
		if err != nil && folder == "." {
			return nil, Finding{}, err
		}
		if found := s.files(folder, entries); found.Path != "" {
			return nil, found, nil
		}
		for _, entry := range entries {
			if entry.IsDir() && entry.Name() != "lost+found" {
				next = append(next, path.Join(folder, entry.Name()))
			}
		}
	}
	return next, Finding{}, nil
}

// read lists a folder, within the bound of entries, likely names first.
func (s *scan) read(folder string) ([]fs.DirEntry, error) {
	file, err := s.root.Open(folder)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	if s.left.Entries <= 0 {
		s.complete = false
		return nil, nil
	}
	entries, err := file.ReadDir(s.left.Entries + 1)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if len(entries) > s.left.Entries {
		entries, s.complete = entries[:s.left.Entries], false
	}
	s.left.Entries -= len(entries)
	slices.SortStableFunc(entries, func(a, b fs.DirEntry) int { return rank(a) - rank(b) })
	return entries, err
}

func rank(entry fs.DirEntry) int {
	if likely(entry.Name()) {
		return 0
	}
	return 1
}

func (s *scan) files(folder string, entries []fs.DirEntry) Finding {
	for _, entry := range entries {
		if !entry.Type().IsRegular() {
			continue
		}
		name := path.Join(folder, entry.Name())
		kind, ok := byName(entry.Name())
		if ok && kind == LevelDB {
			ok = slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == "CURRENT" })
		}
		if !ok && (likely(entry.Name()) || !s.left.Likely) {
			kind, ok = s.header(name)
		}
		if ok {
			return Finding{Path: strings.TrimPrefix(name, "./"), Kind: kind}
		}
	}
	return Finding{}
}

// header opens a file without waiting (a file may have become a FIFO since it was listed) and reads its first bytes.
func (s *scan) header(name string) (Kind, bool) {
	if s.left.Files <= 0 {
		s.complete = false
		return "", false
	}
	s.left.Files--
	return readHeader(s.root, name)
}

func readHeader(root *os.Root, name string) (Kind, bool) {
	file, err := root.OpenFile(name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return "", false
	}
	defer func() { _ = file.Close() }()
	header := make([]byte, headerSize)
	n, _ := io.ReadFull(file, header)
	return byHeader(header[:n])
}
