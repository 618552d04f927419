package config

import (
	"net"
	"path"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/driver/settings"
)

// DefaultFile is the node's configuration file when CONFIG names no other.
const DefaultFile = "/etc/homelab-storage/config.yaml"

// defaultLevel is info, as a number because the linter takes the constant for a call of the global logger.
const defaultLevel logrus.Level = 4

// Variable is one setting of `docker plugin set`, an environment variable of the process.
type Variable struct {
	Name    string
	Default string // what holds when it is empty, for a person
	Form    string
	Text    string
	apply   func(e *environment, value string) error
}

// environment is what the settings say.
type environment struct {
	pool                pool
	portal, target      string
	node                string
	server, credentials string
	standalone          bool
	defaults            defaults
	process             Process
}

// Process is what concerns the process and not the volumes. It is read once, at start.
type Process struct {
	File        string // the node's configuration file, a path of the host
	MetricsAddr string // host:port; empty for none
	LogLevel    logrus.Level
	LogFormat   string // "text" or "json"
	InstallCLI  bool
}

// Variables returns all settings, in the order of the documentation.
func Variables() []Variable { return append(storageVariables(), processVariables()...) }

func storageVariables() []Variable {
	return []Variable{
		{"NODE_NAME", "the host's name", "a name", "this node's name, as in /etc/ocfs2/cluster.conf", into(parseName, func(e *environment, v string) { e.node = v })},
		{"POOL_NAME", "", "a name", "the name of one pool, without a file (with POOL_DEVICE and POOL_PATH)", into(parseName, func(e *environment, v string) { e.pool.Name = v })},
		{"POOL_DEVICE", "", "UUID=..., LABEL=... or /dev/disk/by-.../...", "its file system", into(parseDevice, func(e *environment, v string) { e.pool.Device = v })},
		{"POOL_PATH", "", "an absolute path", "where it is mounted on the host", into(parsePath, func(e *environment, v string) { e.pool.Path = v })},
		{"ISCSI_PORTAL", "", "host or host:port", "the iSCSI portal of its disk (with ISCSI_TARGET)", into(parsePortal, func(e *environment, v string) { e.portal = v })},
		{"ISCSI_TARGET", "", "iqn....", "the iSCSI target of its disk (with ISCSI_PORTAL)", into(parseTarget, func(e *environment, v string) { e.target = v })},
		{"SMB_SERVER", "", "a host name or address", "the server of shares that name none", into(parseHost, func(e *environment, v string) { e.server = v })},
		{"SMB_CREDENTIALS", "", "a name", "the credentials file of shares that name none", into(parseName, func(e *environment, v string) { e.credentials = v })},
		{"STANDALONE", "false", "true or false", "true: without a pool, keep database volumes in a folder of this one node", into(parseBool, func(e *environment, v bool) { e.standalone = v })},
		{"LEASE_WAIT", "20s", "a time", "how long a container's start waits for another node to let go of a volume", into(parseLeaseWait, func(e *environment, v time.Duration) { e.defaults.leaseWait = &v })},
	}
}

func processVariables() []Variable {
	return []Variable{
		{"CONFIG", DefaultFile, "an absolute path", "the node's configuration file, on the host", into(parseFile, func(e *environment, v string) { e.process.File = v })},
		{"METRICS_ADDR", "off", "host:port", "where Prometheus metrics are served, for example 127.0.0.1:9469", into(parseAddress, func(e *environment, v string) { e.process.MetricsAddr = v })},
		{"LOG_LEVEL", "info", "error, warn, info or debug", "how much is logged", into(parseLevel, func(e *environment, v logrus.Level) { e.process.LogLevel = v })},
		{"LOG_FORMAT", "text", "text or json", "how it is logged", into(parseFormat, func(e *environment, v string) { e.process.LogFormat = v })},
		{"INSTALL_CLI", "false", "true or false", "true: put the docker homelab command into the host's Docker CLI plugin folder", into(parseBool, func(e *environment, v bool) { e.process.InstallCLI = v })},
	}
}

func into[V any](parse func(string) (V, error), assign func(*environment, V)) func(*environment, string) error {
	return func(e *environment, text string) error {
		value, err := parse(text)
		if err == nil {
			assign(e, value)
		}
		return err
	}
}

// readEnvironment reads all settings. One that is empty, or what config.json sets it to, is not given: a file may say it.
func readEnvironment(get func(string) string) (environment, []Problem) {
	read := environment{process: Process{File: DefaultFile, LogLevel: defaultLevel, LogFormat: "text"}}
	var problems []Problem
	for _, variable := range Variables() {
		text := get(variable.Name)
		if text == "" || text == variable.Default {
			continue
		}
		if err := variable.apply(&read, text); err != nil {
			problems = append(problems, Problem{File: settingWord, Key: variable.Name, Value: text, Text: err.Error()})
		}
	}
	problems = append(problems, together(get, "POOL_NAME", "POOL_DEVICE", "POOL_PATH")...)
	problems = append(problems, together(get, "ISCSI_PORTAL", "ISCSI_TARGET")...)
	if get("ISCSI_TARGET") != "" && get("POOL_NAME") == "" {
		problems = append(problems, Problem{File: settingWord, Key: "ISCSI_TARGET", Text: "needs the pool that it carries: set POOL_NAME, POOL_DEVICE and POOL_PATH, or write iscsi: into a pool of the file"})
	}
	if read.portal != "" && read.target != "" {
		read.pool.ISCSI = &settings.ISCSI{Portal: read.portal, Target: read.target}
	}
	read.pool.at = place{file: settingWord}
	return read, problems
}

// together reports settings of which some are given and some are not.
func together(get func(string) string, group ...string) []Problem {
	var given, missing []string
	for _, name := range group {
		if get(name) != "" {
			given = append(given, name)
		} else {
			missing = append(missing, name)
		}
	}
	if len(given) == 0 || len(missing) == 0 {
		return nil
	}
	return []Problem{{File: settingWord, Key: given[0], Text: "needs " + strings.Join(missing, " and ") + " too: set all of " + strings.Join(group, ", ") + ", or none"}}
}

func parseFile(text string) (string, error) {
	if !path.IsAbs(text) || text != path.Clean(text) {
		return "", bad("must be an absolute path of the host without \"..\", for example %s", DefaultFile)
	}
	return text, nil
}

func parseAddress(text string) (string, error) {
	if text == "off" {
		return "", nil
	}
	if _, port, err := net.SplitHostPort(text); err != nil || port == "" {
		return "", bad("must be host:port or off, for example 127.0.0.1:9469")
	}
	return text, nil
}

func parseLevel(text string) (logrus.Level, error) {
	switch text {
	case "error", "warn", "warning", "info", "debug":
		return logrus.ParseLevel(text)
	}
	return 0, bad("must be one of error, warn, info, debug")
}

func parseFormat(text string) (string, error) {
	if text != "text" && text != "json" {
		return "", bad("must be text or json")
	}
	return text, nil
}

// ReadProcess reads what concerns the process, before anything else is known; wrong values are as if not given, and
// [Watcher.Errors] tells of them.
func ReadProcess(get func(string) string) Process {
	read, _ := readEnvironment(get)
	return read.process
}
