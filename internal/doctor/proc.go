package doctor

import (
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// unlimited is the value of what has no limit.
const unlimited = math.MaxInt64

// read returns a file of the kernel, "" when it cannot be read.
func (m Machine) read(file string) string {
	data, err := fs.ReadFile(m.Root, file)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// number returns a file's number of that index, from 0.
func (m Machine) number(file string, i int) (n int64, ok bool) {
	fields := strings.Fields(m.read(file))
	if i >= len(fields) {
		return 0, false
	}
	return parse(fields[i])
}

func parse(text string) (n int64, ok bool) {
	if text == "unlimited" || text == "max" {
		return unlimited, true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// line returns the fields after the prefix of the line that begins with it.
func (m Machine) line(file, prefix string) []string {
	for line := range strings.Lines(m.read(file)) {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			return strings.Fields(rest)
		}
	}
	return nil
}

// cgroups returns the folders of the control groups that bound this process by
// a controller, its own first: each of them can set a limit, in the files of
// version 2 or of version 1.
func (m Machine) cgroups(controller string) []string {
	var all []string
	for line := range strings.Lines(m.read("proc/self/cgroup")) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		base := "sys/fs/cgroup"
		switch {
		case parts[0] == "0" && parts[1] == "": // version 2
		case strings.Contains(","+parts[1]+",", ","+controller+","):
			base = path.Join(base, controller)
		default:
			continue
		}
		for dir := path.Clean("/" + parts[2]); ; dir = path.Dir(dir) {
			all = append(all, path.Join(base, dir))
			if dir == "/" {
				break
			}
		}
	}
	return all
}

// limit returns the lowest limit of the control groups, in the file of version
// 2 or of version 1, and the folder of the group that sets it.
func (m Machine) limit(controller, v2, v1 string) (n int64, dir string, ok bool) {
	// Version 1 writes the largest number of whole pages for no limit.
	const none = 1 << 60
	n = none
	for _, d := range m.cgroups(controller) {
		for _, file := range []string{v2, v1} {
			if v, ok := m.number(path.Join(d, file), 0); ok && v >= 0 && v < n {
				n, dir = v, d
			}
		}
	}
	return n, dir, n < none
}
