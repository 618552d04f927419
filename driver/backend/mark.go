package backend

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// mark is the text of a mark. The folder's name is a hash, so the mark says for a person which directory it stands for.
type mark struct {
	Version int    `json:"version"`
	Volume  string `json:"volume"`
	Subdir  string `json:"subdir"`
}

// WriteMark records, beside the holder record of a directory, that a volume made or adopted it (DESIGN D4). private is the
// pool's private folder, which must be there. It is durable when it returns; writing it again is success.
func WriteMark(private, subdir, volumeID string, options ...durable.Option) error {
	name, err := markName(subdir, volumeID)
	if err != nil {
		return err
	}
	text, err := json.Marshal(mark{Version: 1, Volume: volumeID, Subdir: subdir})
	if err != nil {
		return fmt.Errorf("encode the mark of %s: %w", subdir, err)
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

// HasMark says whether a volume has its mark on a directory.
func HasMark(private, subdir, volumeID string, options ...durable.Option) (bool, error) {
	name, err := markName(subdir, volumeID)
	if err != nil {
		return false, err
	}
	dir, err := durable.Open(private, options...)
	if err != nil {
		return false, err
	}
	has, err := dir.Exists(name)
	return has, errors.Join(err, dir.Close())
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
	if volumeID == "" || volumeID == "." || filepath.Base(volumeID) != volumeID {
		return "", fmt.Errorf("the volume ID %q cannot name a mark", volumeID)
	}
	return path.Join(HoldersFolder, DirectoryKey(subdir), MarkPrefix+volumeID), nil
}
