package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/homelab-storage/homelab-storage/driver/settings"
)

// Files in the state folder. They hold no secrets: a configuration has none.
const (
	lastGoodFile = "config.last-good.json"
	sharedCopy   = "config.shared.yaml"
	goneCopy     = "config.shared.gone.yaml" // the last text of a shared file that is gone
)

// lastGood is the configuration that was last in force.
type lastGood struct {
	Settings *settings.Settings `json:"settings"`
	File     bool               `json:"file"` // the node's file was part of it
}

// recall takes up what an earlier run left. What cannot be read is logged and left out: it is a help, not a record.
func (w *Watcher) recall() {
	text, err := w.state.Read(lastGoodFile, maxFile)
	var kept lastGood
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		err = decoder.Decode(&kept)
	}
	if err == nil && kept.Settings != nil {
		w.current.Store(kept.Settings)
		w.good, w.seen = true, kept.File
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.options.Log.WithError(err).Warn("last good configuration not readable")
	}
	if w.shared, err = w.state.Read(sharedCopy, maxFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		w.options.Log.WithError(err).Warn("copy of the shared configuration not readable")
	}
}

// remember keeps the configuration in force for the next run.
func (w *Watcher) remember(next *settings.Settings) {
	text, err := json.MarshalIndent(lastGood{Settings: next, File: w.node.present}, "", "  ")
	if err == nil {
		err = w.keep(lastGoodFile, text)
	}
	if err == nil {
		err = w.keep(sharedCopy, w.shared)
	}
	if err != nil {
		w.options.Log.WithError(err).Warn("configuration in force not kept for the next start")
	}
}

// keep writes a file that has changed.
func (w *Watcher) keep(name string, text []byte) error {
	if old, err := w.state.Read(name, maxFile); err == nil && bytes.Equal(old, text) {
		return nil
	}
	return w.state.Write(name, text)
}

// LastGood is the configuration that a plugin with this state folder had in force last, for a command that has to work while the
// plugin does not.
func LastGood(stateDir string) (*settings.Settings, error) {
	text, err := os.ReadFile(filepath.Join(stateDir, lastGoodFile))
	if err != nil {
		return nil, fmt.Errorf("the plugin has not been configured yet: %w", err)
	}
	var kept lastGood
	if err := json.Unmarshal(text, &kept); err != nil || kept.Settings == nil {
		return nil, fmt.Errorf("the last configuration of the plugin (%s) is not understood: %w", lastGoodFile, errors.Join(err))
	}
	return kept.Settings, nil
}
