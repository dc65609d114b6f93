package logs_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"sluice/internal/logs"
)

func TestFormats(t *testing.T) {
	for _, tt := range []struct {
		cfg  logs.Config
		want []string
		not  string
	}{
		{logs.Config{}, []string{"level=INFO", "msg=hello", "n=1"}, "quiet"},
		{logs.Config{Level: "debug"}, []string{"msg=hello", "msg=quiet"}, "{"},
		{logs.Config{Format: "json"}, []string{`"msg":"hello"`, `"n":1`}, "quiet"},
		{logs.Config{Level: "error"}, nil, "hello"},
	} {
		var out bytes.Buffer
		l := logs.Open(tt.cfg, &out)
		l.Info("hello", "n", 1)
		l.Debug("quiet")
		l.Close()
		for _, want := range tt.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%+v: no %s in %s", tt.cfg, want, &out)
			}
		}
		if strings.Contains(out.String(), tt.not) {
			t.Errorf("%+v: %s", tt.cfg, &out)
		}
	}
}

// stuck is a writer that takes nothing until it is let go.
type stuck struct {
	bytes.Buffer
	entered, release chan struct{}
	once             sync.Once
}

func (s *stuck) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.entered); <-s.release })
	return s.Buffer.Write(p)
}

// TestSlowWriter: a writer that hangs costs lines, each whole and counted, and
// never the one who logs.
func TestSlowWriter(t *testing.T) {
	w := &stuck{entered: make(chan struct{}), release: make(chan struct{})}
	l := logs.Open(logs.Config{Format: "json"}, w)
	l.Info("first")
	<-w.entered
	const lines = 30_000
	for i := range lines {
		l.Info("a line that is as long as lines about a connection are", "n", i)
	}
	dropped := l.Dropped()
	if dropped == 0 || dropped >= lines {
		t.Errorf("%d of %d lines dropped", dropped, lines)
	}
	close(w.release)
	l.Close()
	written := uint64(0)
	for line := range strings.Lines(w.String()) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		written++
	}
	if written+dropped != lines+1 {
		t.Errorf("%d written and %d dropped of %d", written, dropped, lines+1)
	}
	l.Info("after the end")
	if l.Dropped() != dropped+1 {
		t.Error("a line after the end is not counted")
	}
}

func TestTogether(t *testing.T) {
	var out bytes.Buffer
	l := logs.Open(logs.Config{}, &out)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				l.Info("hello")
			}
		})
	}
	wg.Wait()
	l.Close()
	if n := strings.Count(out.String(), "msg=hello\n"); n != 400 {
		t.Errorf("%d lines, want 400", n)
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		cfg  logs.Config
		keys string
	}{
		{logs.Config{}, ""},
		{logs.Config{Format: "json", Level: "warn"}, ""},
		{logs.Config{Format: "xml", Level: "loud"}, "format level"},
		{logs.Config{Level: "INFO"}, "level"},
	} {
		var keys []string
		tt.cfg.Validate(func(key, _ string) { keys = append(keys, key) })
		if got := strings.Join(keys, " "); got != tt.keys {
			t.Errorf("%+v: problems with %q, want %q", tt.cfg, got, tt.keys)
		}
	}
}

func Example() {
	l := logs.Open(logs.Config{Format: "json", Level: "warn"}, os.Stdout)
	defer l.Close()
	l.Info("not important enough")
	// Output:
}

func BenchmarkLine(b *testing.B) {
	l := logs.Open(logs.Config{}, io.Discard)
	defer l.Close()
	b.ReportAllocs()
	for b.Loop() {
		l.Info("connection closed", "cause", "client_close", "bytes_in", 12345, "remote", "192.0.2.1:4321")
	}
}
