package backend

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// Mark is what the pool knows of one volume's directory. Its folder's name is a hash, so that it says for a person which directory
// it stands for.
type Mark struct {
	Version int    `json:"version"`
	Volume  string `json:"volume"`
	Subdir  string `json:"subdir"`
	Adopted bool   `json:"adopted,omitempty"` // the directory was there before the volume
	// Identity is the directory's, see durable.Identity; empty until it is made, and where directories have none.
	Identity string `json:"identity,omitempty"`
}

const markVersion = 1

// maxMark bounds what is read of a mark, in bytes.
const maxMark = 8 << 10

// WriteMark records, beside the holder record of a directory, that a volume made or adopted it (DESIGN D4). private is the
// pool's private folder, which must be there. It is durable when it returns; writing the same again is success.
func WriteMark(private string, made Mark, options ...durable.Option) error {
	made.Version = markVersion
	name, err := markName(made.Subdir, made.Volume)
	if err != nil {
		return err
	}
	text, err := json.Marshal(made)
	if err != nil {
		return fmt.Errorf("encode the mark of %s: %w", made.Subdir, err)
	}
	dir, err := durable.Open(private, options...)
	if err != nil {
		return err
	}
	defer dir.Close() //nolint:errcheck // nothing is written through it any more
	if err := dir.MkdirAll(path.Dir(name)); err != nil {
		return err
	}
	return dir.Write(name, append(text, '\n'))
}

// ReadMark gives a volume's mark on a directory; has says whether there is one.
func ReadMark(private, subdir, volumeID string, options ...durable.Option) (read Mark, has bool, err error) {
	dir, err := durable.Open(private, options...)
	if err != nil {
		return Mark{}, false, err
	}
	defer dir.Close() //nolint:errcheck // nothing was written through it
	return MarkIn(dir, subdir, volumeID)
}

// MarkIn is [ReadMark] for a private folder that is open.
func MarkIn(private *durable.Dir, subdir, volumeID string) (read Mark, has bool, err error) {
	name, err := markName(subdir, volumeID)
	if err != nil {
		return Mark{}, false, err
	}
	text, err := private.Read(name, maxMark)
	if errors.Is(err, fs.ErrNotExist) {
		return Mark{}, false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &read)
	}
	if err != nil {
		return Mark{}, false, fmt.Errorf("the mark of volume %s on %s cannot be read: %w", volumeID, subdir, err)
	}
	return read, true, nil
}

// RemoveMark takes a volume's mark away. One that is gone is success.
func RemoveMark(private, subdir, volumeID string, options ...durable.Option) error {
	name, err := markName(subdir, volumeID)
	if err != nil {
		return err
	}
	dir, err := durable.Open(private, options...)
	if err != nil {
		return err
	}
	return errors.Join(dir.Remove(name), dir.Close())
}

// markName is the mark's path below the private folder. An ID comes from a record, which is hostile input (DESIGN D7).
func markName(subdir, volumeID string) (string, error) {
	if volumeID == "" || volumeID == "." || volumeID == ".." || filepath.Base(volumeID) != volumeID {
		return "", fmt.Errorf("the volume ID %q cannot name a mark", volumeID)
	}
	return path.Join(HoldersFolder, DirectoryKey(subdir), MarkPrefix+volumeID), nil
}

// OtherMarks lists the IDs of the other volumes that have a mark on a directory.
func OtherMarks(private, subdir, volumeID string, options ...durable.Option) ([]string, error) {
	dir, err := durable.Open(private, options...)
	if err != nil {
		return nil, err
	}
	defer dir.Close() //nolint:errcheck // nothing was written through it
	entries, err := dir.List(path.Join(HoldersFolder, DirectoryKey(subdir)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var others []string
	for _, entry := range entries {
		if id, ok := strings.CutPrefix(entry.Name(), MarkPrefix); ok && id != volumeID {
			others = append(others, id)
		}
	}
	return others, err
}
