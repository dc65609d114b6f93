package doctor_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"sluice/internal/doctor"
)

var update = flag.Bool("update", false, "write the golden files")

// stock is a machine as a distribution leaves it.
var stock = map[string]string{
	"proc/self/limits": "Limit                     Soft Limit           Hard Limit           Units     \n" +
		"Max processes             96365                96365                processes \n" +
		"Max open files            1024                 524288               files     \n",
	"proc/self/cgroup":                         "0::/system.slice/sluice.service\n",
	"proc/meminfo":                             "MemTotal:        4026532 kB\nMemAvailable:    3145728 kB\n",
	"proc/sys/fs/nr_open":                      "1048576\n",
	"proc/sys/fs/file-max":                     "9223372036854775807\n",
	"proc/sys/fs/file-nr":                      "1200\t0\t9223372036854775807\n",
	"proc/sys/fs/epoll/max_user_watches":       "880000\n",
	"proc/sys/net/core/somaxconn":              "4096\n",
	"proc/sys/net/ipv4/tcp_max_syn_backlog":    "512\n",
	"proc/sys/net/ipv4/tcp_syncookies":         "1\n",
	"proc/sys/net/ipv4/ip_local_port_range":    "32768\t60999\n",
	"proc/sys/net/ipv4/tcp_mem":                "46000\t62000\t93000\n",
	"sys/fs/cgroup/system.slice/memory.max":    "max\n",
	"sys/fs/cgroup/system.slice/pids.max":      "max\n",
	"sys/fs/cgroup/system.slice/pids.current":  "70\n",
	"sys/fs/cgroup/system.slice/cpu.max":       "max 100000\n",
	"sys/fs/cgroup/system.slice/io.weight":     "default 100\n",
	"sys/fs/cgroup/system.slice/cgroup.procs":  "",
	"sys/fs/cgroup/system.slice/memory.events": "",
}

// machine is stock with some files changed; "" removes one.
func machine(procs int, changes map[string]string) doctor.Machine {
	files := maps.Clone(stock)
	maps.Copy(files, changes)
	root := fstest.MapFS{}
	for name, text := range files {
		if text != "" {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return doctor.Machine{Root: root, PageSize: 4096, Procs: procs}
}

// container bounds everything by control groups of version 2, one of them above
// its own.
var container = map[string]string{
	"sys/fs/cgroup/system.slice/sluice.service/memory.max":   "2147483648\n",
	"sys/fs/cgroup/system.slice/memory.max":                  "268435456\n",
	"sys/fs/cgroup/system.slice/sluice.service/pids.max":     "100\n",
	"sys/fs/cgroup/system.slice/sluice.service/pids.current": "60\n",
	"sys/fs/cgroup/system.slice/sluice.service/cpu.max":      "150000 100000\n",
	"proc/sys/net/netfilter/nf_conntrack_max":                "65536\n",
	"proc/sys/net/netfilter/nf_conntrack_count":              "120\n",
}

// old has control groups of version 1, seen from a container in which the path
// of the group does not exist.
var old = map[string]string{
	"proc/self/cgroup":                           "9:memory:/docker/4f\n8:pids:/docker/4f\n7:cpu,cpuacct:/docker/4f\n1:name=systemd:/docker/4f\n",
	"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
	"sys/fs/cgroup/pids/pids.max":                "1000\n",
	"sys/fs/cgroup/pids/pids.current":            "10\n",
	"sys/fs/cgroup/cpu/cpu.cfs_quota_us":         "50000\n",
	"sys/fs/cgroup/cpu/cpu.cfs_period_us":        "100000\n",
}

// small is a machine of which every limit is too low.
var small = map[string]string{
	"proc/self/limits":                   "Max open files            1024                 4096                 files     \n",
	"proc/meminfo":                       "MemAvailable:    262144 kB\n",
	"proc/sys/fs/nr_open":                "65536\n",
	"proc/sys/fs/file-max":               "65536\n",
	"proc/sys/fs/epoll/max_user_watches": "65536\n",
	"proc/sys/net/core/somaxconn":        "128\n",
	"proc/sys/net/ipv4/tcp_syncookies":   "0\n",
}

// nothing is known of it.
var dark = map[string]string{
	"proc/self/limits": "", "proc/self/cgroup": "no cgroup\n", "proc/meminfo": "MemTotal: 1\n",
	"proc/sys/fs/nr_open": "a lot\n", "proc/sys/fs/file-max": "", "proc/sys/fs/epoll/max_user_watches": "",
	"proc/sys/net/core/somaxconn": "", "proc/sys/net/ipv4/tcp_max_syn_backlog": "", "proc/sys/net/ipv4/ip_local_port_range": "1\n",
	"proc/sys/net/ipv4/tcp_mem": "1 2\n",
}

func TestExamine(t *testing.T) {
	for _, tt := range []struct {
		name        string
		m           doctor.Machine
		connections int
	}{
		{"stock", machine(2, nil), 50_000},
		{"million", machine(2, nil), 1_000_000},
		{"container", machine(8, container), 100_000},
		{"old", machine(2, old), 50_000},
		{"small", machine(1, small), 100_000},
		{"unlimited", machine(1, map[string]string{"proc/self/limits": "Max open files            unlimited            unlimited            files\n"}), 10_000},
		{"dark", machine(1, dark), 1000},
		{"one", machine(1, nil), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			for _, f := range tt.m.Examine(tt.connections) {
				fmt.Fprintf(&b, "%s: %s, needed %s: %s\n", f.Check, f.Value, f.Needed, f.Verdict)
				if f.Raise != "" {
					fmt.Fprintf(&b, "    %s\n", f.Raise)
				}
			}
			golden(t, "testdata/"+tt.name+".txt", b.String())
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it anew); got\n%s", file, got)
	}
}

// FuzzExamine: whatever the kernel's files hold, the doctor says something.
func FuzzExamine(f *testing.F) {
	f.Add("0::/../..\n1:a,memory:/x\n", "max\n", "100 0\n", 5)
	f.Add("0::\n:\n::::", "-1", "Max open files 1", -1)
	f.Fuzz(func(t *testing.T, cgroup, value, pair string, connections int) {
		root := fstest.MapFS{"proc/self/cgroup": {Data: []byte(cgroup)}}
		for i, name := range []string{
			"proc/self/limits", "proc/meminfo", "proc/sys/fs/nr_open", "proc/sys/net/ipv4/ip_local_port_range", "proc/sys/net/ipv4/tcp_mem",
			"sys/fs/cgroup/memory.max", "sys/fs/cgroup/cpu.max", "sys/fs/cgroup/pids.max", "proc/sys/net/netfilter/nf_conntrack_max",
		} {
			root[name] = &fstest.MapFile{Data: []byte([]string{value, pair}[i%2])}
		}
		m := doctor.Machine{Root: root, PageSize: 4096, Procs: 1}
		for _, f := range m.Examine(connections) {
			if f.Check == "" || f.Value == "" || f.Needed == "" || f.Verdict == doctor.TooLow && f.Raise == "" {
				t.Errorf("%+v", f)
			}
		}
	})
}
