// Package build knows which Sluice this is: version, commit, Go release.
//
// It owns nothing but these facts, imports nothing of ours and may be called
// from any goroutine. A release build names its version at link time:
//
//	go build -ldflags "-X sluice/internal/build.version=v1.2.3 -X sluice/internal/build.commit=0123abc"
//
// Every other build (go build, go run, go install) is described by what the Go
// command recorded in the binary.
package build

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
)

// Set by the linker only; see the package comment.
var version, commit string

// Details describes one binary.
type Details struct {
	Version string // "v1.2.3", or "devel" when nobody named one
	Commit  string // abbreviated revision, "-dirty" when the tree had changes; "unknown" without version control
	Go      string // Go release that compiled it, as "go1.26.0"
}

// Current describes the running binary.
var Current = sync.OnceValue(func() Details {
	info, _ := debug.ReadBuildInfo()
	return describe(version, commit, info)
})

// String returns the one line that `sluice version` prints.
func (d Details) String() string {
	return fmt.Sprintf("sluice %s (commit %s, %s, %s/%s)", d.Version, d.Commit, d.Go, runtime.GOOS, runtime.GOARCH)
}

// describe prefers what the linker set over what the Go command recorded.
// info is nil in a binary built without module support.
func describe(version, commit string, info *debug.BuildInfo) Details {
	d := Details{Version: version, Commit: commit, Go: runtime.Version()}
	if info != nil {
		if d.Version == "" && info.Main.Version != "(devel)" {
			d.Version = info.Main.Version
		}
		if d.Commit == "" {
			d.Commit = revision(info.Settings)
		}
	}
	if d.Version == "" {
		d.Version = "devel"
	}
	if d.Commit == "" {
		d.Commit = "unknown"
	}
	return d
}

// revision returns the abbreviated version control revision, "" when none was
// recorded.
func revision(settings []debug.BuildSetting) string {
	const abbreviated = 12 // hex digits; unique in any repository of a human size
	var rev, dirty string
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision":
			rev = s.Value[:min(len(s.Value), abbreviated)]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	if rev == "" {
		return ""
	}
	return rev + dirty
}
