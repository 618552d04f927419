package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// Elsewhere reads the records of a catalog in another folder than this node's shared one, and takes nothing of them over: nodes that
// disagree about the catalog pool have one each. A folder without a catalog has none, and what cannot be used is passed over. It is
// file work that may hang: call it through a [Doer].
func Elsewhere(folder string, options ...durable.Option) ([]Record, error) {
	dir, err := durable.Open(folder, options...)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the volume catalog cannot be opened: %w", err)
	}
	defer func() { _ = dir.Close() }()
	files, err := dir.List(volumesDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the volume catalog cannot be read: %w", err)
	}
	var records []Record
	for _, file := range files {
		name, isRecord := strings.CutSuffix(file.Name(), suffix)
		if !isRecord || !ValidName(name) {
			continue
		}
		data, err := dir.Read(recordFile(name), MaxRecord)
		if err != nil {
			continue // removed meanwhile, or not one that was written by a plugin
		}
		if record, err := ParseRecord(name, data); err == nil {
			records = append(records, record)
		}
	}
	return records, nil
}
