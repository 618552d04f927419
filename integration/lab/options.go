package lab

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/sirupsen/logrus"
)

// maxNodes is what the address plan has room for.
const maxNodes = 9

// LUN is a disk that the NAS exports.
type LUN struct {
	// Name is part of the target's name, see [NAS.Target], and the label of its filesystem.
	Name string
	// Size in bytes; the file behind it is sparse.
	Size int64
}

// The LUNs of two pools.
var (
	MediaApps = LUN{Name: "media-apps", Size: 1 << 30} //nolint:gochecknoglobals // a constant that Go cannot write as one
	AppData   = LUN{Name: "app-data", Size: 1 << 30}   //nolint:gochecknoglobals // a constant that Go cannot write as one
)

// Options describe a lab. The zero value is one node with the quick init and the LUN media-apps.
type Options struct {
	// Nodes is how many machines there are, at most 9; 0 means 1.
	Nodes int
	// Systemd boots the nodes with systemd instead of the lab's quick init.
	Systemd bool
	// Memory of each node in MiB; 0 means 1024.
	Memory int
	// LUNs that the NAS exports; none means media-apps.
	LUNs []LUN
	// Password of the SMB user media; empty means one with a comma and a space in it.
	Password string
	// Module is the folder of the project's go.mod; empty means to look upwards from the current one.
	Module string
	// Log receives progress; nil discards it.
	Log *logrus.Entry
}

// complete fills in defaults and refuses what cannot work.
func (o Options) complete() (Options, error) {
	if o.Nodes == 0 {
		o.Nodes = 1
	}
	if o.Nodes < 0 || o.Nodes > maxNodes {
		return o, fmt.Errorf("lab: %d nodes asked for, between 1 and %d are possible", o.Nodes, maxNodes)
	}
	if o.Memory == 0 {
		o.Memory = 1024
	}
	if len(o.LUNs) == 0 {
		o.LUNs = []LUN{MediaApps}
	}
	if o.Password == "" {
		o.Password = "comma, and space"
	}
	if strings.ContainsAny(o.Password, "\r\n") {
		return o, fmt.Errorf("lab: the SMB password %q has a line break, which no credentials file can hold", o.Password)
	}
	if o.Log == nil {
		logger := logrus.New()
		logger.SetOutput(io.Discard)
		o.Log = logrus.NewEntry(logger)
	}
	var err error
	if o.Module == "" {
		o.Module, err = Module()
	}
	return o, err
}

// Module looks for go.mod in the current folder and above.
func Module() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for folder := start; ; folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("lab: no go.mod in %s or above; run inside the project's tree", start)
		}
	}
}
