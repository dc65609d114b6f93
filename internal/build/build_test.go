package build

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	recorded := &debug.BuildInfo{
		Main: debug.Module{Version: "v0.3.0"},
		Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"},
			{Key: "vcs.modified", Value: "true"},
		},
	}
	for _, tt := range []struct {
		name, version, commit   string
		info                    *debug.BuildInfo
		wantVersion, wantCommit string
	}{
		{"nothing known", "", "", nil, "devel", "unknown"},
		{"plain go build", "", "", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "devel", "unknown"},
		{"recorded by the go command", "", "", recorded, "v0.3.0", "0123456789ab-dirty"},
		{"linker wins", "v9.9.9", "feedbee", recorded, "v9.9.9", "feedbee"},
		{"short revision", "", "", &debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "42"}}}, "devel", "42"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := describe(tt.version, tt.commit, tt.info)
			if d.Version != tt.wantVersion || d.Commit != tt.wantCommit {
				t.Errorf("got version %q commit %q, want %q %q", d.Version, d.Commit, tt.wantVersion, tt.wantCommit)
			}
		})
	}
}

func TestString(t *testing.T) {
	got := Details{Version: "v1.0.0", Commit: "abc", Go: "go1.26.0"}.String()
	want := "sluice v1.0.0 (commit abc, go1.26.0, " + runtime.GOOS + "/" + runtime.GOARCH + ")"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !strings.HasPrefix(Current().String(), "sluice ") {
		t.Errorf("the running binary calls itself %q", Current())
	}
}
