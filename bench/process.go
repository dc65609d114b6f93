package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Process is a process on this machine, seen through /proc.
type Process struct{ PID int }

// Usage is what a process uses at one moment.
type Usage struct {
	RSS    int64         `json:"rss_bytes"`
	User   time.Duration `json:"user_ns"`
	System time.Duration `json:"system_ns"`
}

// CPU returns the processor time of both kinds.
func (u Usage) CPU() time.Duration { return u.User + u.System }

// clockTick is the unit of times in /proc/PID/stat. Linux has fixed what it
// shows to programs at 100 per second on every architecture that Go has.
const clockTick = 10 * time.Millisecond

// Usage reads what the process uses.
func (p Process) Usage() (u Usage, err error) {
	stat, err := os.ReadFile(p.file("stat"))
	if err != nil {
		return u, fmt.Errorf("--server-pid %d: %w", p.PID, err)
	}
	if u, err = parseStat(stat, os.Getpagesize()); err != nil {
		return u, fmt.Errorf("--server-pid %d: %w", p.PID, err)
	}
	return u, nil
}

// CountFDs returns the number of open descriptors. It takes milliseconds with
// many of them, so it is not part of Usage.
func (p Process) CountFDs() (int, error) {
	dir, err := os.Open(p.file("fd"))
	if err != nil {
		return 0, fmt.Errorf("--server-pid %d: %w", p.PID, err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	return len(names), err
}

// parseStat reads /proc/PID/stat. The second field is the name of the program
// in parentheses and may hold anything, so counting starts behind it.
func parseStat(stat []byte, pageSize int) (u Usage, err error) {
	const utime, stime, rss = 14 - 3, 15 - 3, 24 - 3 // as proc(5) counts, from the third
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) <= rss {
		return u, fmt.Errorf("cannot read /proc/PID/stat: %d fields", len(fields))
	}
	var n [3]int64
	for i, f := range []int{utime, stime, rss} {
		if n[i], err = strconv.ParseInt(fields[f], 10, 64); err != nil {
			return u, fmt.Errorf("cannot read /proc/PID/stat: %w", err)
		}
	}
	u.User, u.System = time.Duration(n[0])*clockTick, time.Duration(n[1])*clockTick
	u.RSS = n[2] * int64(pageSize)
	return u, nil
}

// Name returns the name of the program.
func (p Process) Name() string {
	name, _ := os.ReadFile(p.file("comm"))
	return strings.TrimSpace(string(name))
}

// Cores returns the cores the process may run on, such as "0" or "0-1".
func (p Process) Cores() string {
	status, _ := os.ReadFile(p.file("status"))
	for line := range strings.Lines(string(status)) {
		if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
			return strings.TrimSpace(list)
		}
	}
	return ""
}

func (p Process) file(name string) string {
	return filepath.Join("/proc", strconv.Itoa(p.PID), name)
}
