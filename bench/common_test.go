package bench

import (
	"flag"
	"strings"
	"testing"
)

const testKey = "0123456789abcdef0123456789abcdef"

func TestCommonFlags(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string // in the error, "" for none
	}{
		{nil, ""},
		{[]string{"--url", "ws://localhost:1/echo?x=y"}, ""},
		{[]string{"--url", "tcp://[::1]:1"}, ""},
		{[]string{"--key", testKey, "--hub", "chat"}, ""},
		{[]string{"--url", "127.0.0.1:8080"}, "--url"},
		{[]string{"--url", "wss://127.0.0.1", "--resume"}, ""},
		{[]string{"--tls"}, ""},
		{[]string{"--resume"}, "--tls"},
		{[]string{"--url", "http://127.0.0.1"}, "ws, wss or tcp"},
		{[]string{"--url", "ws://192.0.2.1:80"}, "--allow-remote"},
		{[]string{"--url", "ws://192.0.2.1:80", "--allow-remote"}, ""},
		{[]string{"--key", "short"}, "--key"},
		{[]string{"--key", testKey, "--hub", "no/hub"}, "--hub"},
		{[]string{"--key", testKey, "--token", "t"}, "exclude"},
		{[]string{"--opening", "0"}, "--opening"},
		{[]string{"--open-rate", "-1"}, "--open-rate"},
		{[]string{"--loops", "65"}, "--loops"},
		{[]string{"--sources", "-1"}, "--sources"},
		{[]string{"--server-pid", "-1"}, "--server-pid"},
	} {
		var c Common
		fs := flag.NewFlagSet("", flag.ContinueOnError)
		c.Flags(fs)
		if err := fs.Parse(tt.args); err != nil {
			t.Fatal(err)
		}
		err := c.Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%q: got %v, want %q", tt.args, err, tt.want)
		}
	}
}

func TestScenarioFlags(t *testing.T) {
	byName := map[string]Entry{}
	for _, e := range Scenarios() {
		byName[e.Name] = e
		s := e.New()
		s.Flags(flag.NewFlagSet("", flag.ContinueOnError))
		if err := s.Validate(); err != nil {
			t.Errorf("the defaults of %s: %v", e.Name, err)
		}
	}
	for _, tt := range []struct{ scenario, flag, value string }{
		{"idle", "connections", "0"}, {"idle", "first", "1000"}, {"idle", "groups", "0"}, {"idle", "rounds", "-1"},
		{"idle", "hold", "-1s"}, {"idle", "settle", "-1s"},
		{"echo", "connections", "2000000"}, {"echo", "depth", "0"}, {"echo", "size", "0"},
		{"echo", "warmup", "-1s"}, {"echo", "duration", "0s"},
		{"fanout", "subscribers", "0"}, {"fanout", "groups", "1001"}, {"fanout", "publishers", "70000"},
		{"fanout", "under-way", "0"}, {"fanout", "rate", "-1"}, {"fanout", "size", "0"}, {"fanout", "duration", "1000h"},
		{"storm", "warmup", "-1s"}, {"storm", "duration", "0s"},
		{"soak", "connections", "0"}, {"soak", "groups", "2000"}, {"soak", "churn", "-1"}, {"soak", "publish", "-1"},
		{"soak", "stalls", "-1"}, {"soak", "stall-time", "0s"}, {"soak", "duration", "0s"}, {"soak", "settle", "-1s"},
	} {
		s := byName[tt.scenario].New()
		fs := flag.NewFlagSet("", flag.ContinueOnError)
		s.Flags(fs)
		if err := fs.Set(tt.flag, tt.value); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "--"+tt.flag+" ") {
			t.Errorf("%s --%s %s: got %v", tt.scenario, tt.flag, tt.value, err)
		}
	}
}
