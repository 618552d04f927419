// Package rootpath follows a path's symbolic links as a process would whose root directory is another one: absolute links
// start again at that root and ".." stops there. It is openat2(2)'s RESOLVE_IN_ROOT for callers that need a path instead of a
// descriptor. It is for translating names, not for guarding against an adversary: a link may change after it was read.
package rootpath

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxLinks is the kernel's limit of links in one lookup (MAXSYMLINKS, include/linux/namei.h).
const maxLinks = 40

// Resolve translates an absolute path below root. A component that does not exist ends the search; what is left is taken
// literally. So is everything after the fortieth link.
func Resolve(root, path string) string {
	links, done := 0, "/"
	left := split(path)
	for len(left) > 0 {
		name := left[0]
		left = left[1:]
		if name == ".." {
			done = filepath.Dir(done)
			continue
		}
		next := filepath.Join(done, name)
		link, err := os.Readlink(filepath.Join(root, next))
		if err != nil || links == maxLinks {
			done = next
			continue
		}
		links++
		if filepath.IsAbs(link) {
			done = "/"
		}
		left = append(split(link), left...)
	}
	return filepath.Join(root, done)
}

// split gives the components that matter.
func split(path string) []string {
	names := strings.Split(path, "/")
	return slices.DeleteFunc(names, func(name string) bool { return name == "" || name == "." })
}
