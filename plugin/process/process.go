package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver"
)

// startField is the place of starttime in /proc/PID/stat, from the state (field 3) on (proc(5), field 22).
const startField = 22 - 3

// Started is when a process began, in clock ticks since boot. A process that is gone matches fs.ErrNotExist.
func Started(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStarted(string(text))
}

// parseStarted reads the line of /proc/PID/stat. The command's name is in parentheses and may hold anything.
func parseStarted(line string) (uint64, error) {
	fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(fields) <= startField {
		return 0, fmt.Errorf("process status %q has no start time", line)
	}
	started, err := strconv.ParseUint(fields[startField], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("process status %q: %w", line, err)
	}
	return started, nil
}

// Of is the incarnation that a process number stands for now; its start is 0 when unknown.
func Of(pid int) driver.Engine {
	started, err := Started(pid)
	if err != nil {
		return driver.Engine{PID: pid}
	}
	return driver.Engine{PID: pid, Started: started}
}

// Ended says whether an incarnation is certainly gone. What is not known is not gone.
func Ended(engine driver.Engine) bool {
	if engine.PID <= 0 || engine.Started == 0 {
		return false
	}
	started, err := Started(engine.PID)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	return started != engine.Started
}

// Over says whether an incarnation does nothing any more: it is gone, or it was killed and only a call to the kernel that hangs in
// one of its threads keeps it (a zombie, proc(5)).
func Over(engine driver.Engine) bool {
	if Ended(engine) {
		return true
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", engine.PID))
	return err == nil && parseZombie(string(text))
}

// parseZombie reads the state (field 3) of /proc/PID/stat.
func parseZombie(line string) bool {
	fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	return len(fields) > 0 && (fields[0] == "Z" || fields[0] == "X")
}
