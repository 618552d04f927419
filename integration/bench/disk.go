package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// disk measures what one fsync costs where the plugin's records are.
type disk struct {
	folder string
	times  samples
}

func newDisk(folder string) (*disk, error) {
	return &disk{folder: folder}, os.MkdirAll(folder, 0o700)
}

// recordSize is about that of a volume's or a holder's record, in bytes.
const recordSize = 600

// sync takes one sample: the fsync of a small new file, which is what a durable write waits for.
func (d *disk) sync() error {
	file, err := os.Create(filepath.Join(d.folder, fmt.Sprintf("file-%d", len(d.times))))
	if err != nil {
		return err
	}
	if _, err := file.Write(make([]byte, recordSize)); err != nil {
		return errors.Join(err, file.Close())
	}
	began := time.Now()
	err = file.Sync()
	d.times = append(d.times, time.Since(began))
	return errors.Join(err, file.Close())
}
