package api_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/api"
	"sluice/internal/testkit"
)

// served is a server with the accounts of what it has answered.
type served struct {
	t    *testing.T
	addr string
	log  lockedBuffer

	mu       sync.Mutex
	statuses []int // guarded by mu
	panics   int   // guarded by mu
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func serve(t *testing.T, timeout time.Duration, h http.HandlerFunc, changes ...func(*api.ServerOptions)) *served {
	testkit.NoLeaks(t)
	s := &served{t: t}
	o := api.ServerOptions{
		Handler:        h,
		RequestTimeout: timeout,
		Answered:       func(status int) { s.mu.Lock(); s.statuses = append(s.statuses, status); s.mu.Unlock() },
		Panicked:       func() { s.mu.Lock(); s.panics++; s.mu.Unlock() },
		Log:            slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, change := range changes {
		change(&o)
	}
	srv := api.NewServer(o)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() {
		srv.Close()
		<-done
	})
	return s
}

// answered waits until the statuses of all answers are these.
func (s *served) answered(want ...int) {
	s.t.Helper()
	testkit.Eventually(s.t, testkit.Patience, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return fmt.Sprint(s.statuses) == fmt.Sprint(want)
	}, fmt.Sprint("counted: ", want))
}

// guards are in every answer, whoever makes it.
var guards = map[string]string{
	"Cache-Control":           "no-store",
	"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
	"Referrer-Policy":         "no-referrer",
	"X-Content-Type-Options":  "nosniff",
}

func echoBody(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10))
	switch {
	case err != nil && strings.Contains(err.Error(), "too large"):
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	case err != nil:
		http.Error(w, "broken", http.StatusBadRequest)
	default:
		fmt.Fprintf(w, "%s %s %s", r.Method, r.RequestURI, body)
	}
}

// TestServerRefuses: what is refused by net/http or by a handler is counted and has
// the headers, and nothing behind it is taken for a request.
func TestServerRefuses(t *testing.T) {
	const behind = "GET /behind HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, tt := range []struct {
		name, send string
		want       []int
	}{
		{"garbage", "garbage\r\n\r\n", []int{400}},
		{"no host", "GET / HTTP/1.1\r\n\r\n", []int{400}},
		{"HTTP/3.0", "GET / HTTP/3.0\r\nHost: h\r\n\r\n", []int{505}},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{505}},
		{"unknown transfer encoding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", []int{501}},
		{"two transfer encodings", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n", []int{501}},
		{"two lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n" + behind, []int{400}},
		{"signed length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\n" + behind, []int{400}},
		{"NUL in a header", "GET / HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n" + behind, []int{400}},
		{"space before a colon", "GET / HTTP/1.1\r\nHost: h\r\nX : a\r\n\r\n" + behind, []int{400}},
		{"head too large", "GET / HTTP/1.1\r\nHost: h\r\nCookie: " + strings.Repeat("x", 20<<10) + "\r\n\r\n", []int{431}},
		{"another expectation", "POST / HTTP/1.1\r\nHost: h\r\nExpect: magic\r\nContent-Length: 2\r\n\r\nab", []int{417}},
		{"body too large", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n" + strings.Repeat("x", 11) + behind, []int{413}},
		{"both ways to tell the length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + behind, []int{200}},
		{"chunked garbage", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + behind, []int{400}},
		{"chunks end with a line feed", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n" + behind, []int{400}},
		{"second request is garbage", "GET / HTTP/1.1\r\nHost: h\r\n\r\ngarbage\r\n\r\n", []int{200, 400}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, testkit.Patience, echoBody)
			c := testkit.Dial(t, "tcp", s.addr)
			c.WriteString(tt.send)
			for _, want := range tt.want {
				resp := c.ReadResponse()
				body, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != want {
					t.Fatalf("%s %q, error %v, want %d", resp.Status, body, err, want)
				}
				for name, value := range guards {
					if got := resp.Header.Values(name); len(got) != 1 || got[0] != value {
						t.Errorf("%d: %s: %q, want %q", want, name, got, value)
					}
				}
			}
			c.ExpectEOF()
			s.answered(tt.want...)
		})
	}
}

// TestServerOutOfTime: a request that does not come to its end costs its connection
// alone, with or without an answer, and is counted; silence between requests is not.
func TestServerOutOfTime(t *testing.T) {
	const whole = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, tt := range []struct {
		name, send string
		drip       bool // the rest comes, a byte now and then, for ever
		want       []int
	}{
		{"a head that stops", "GET / HTTP/1.1\r\nHost:", false, []int{api.NoAnswer}},
		{"a head that drips", "GET / HTTP/1.1\r\nHost: h\r\nX: ", true, []int{api.NoAnswer}},
		{"a second head that stops", whole + "GET / HTTP/1.1\r\nHost:", false, []int{200, api.NoAnswer}},
		{"a request line that stops", whole + "GET / HT", false, []int{200, 400}}, // net/http takes what there is for the line
		{"a body that stops", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nab", false, []int{400}},
		{"a body that drips", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999\r\n\r\n", true, []int{400}},
		{"chunks that stop", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", false, []int{400}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, 50*time.Millisecond, func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					http.Error(w, "broken", http.StatusBadRequest)
				}
			})
			c := testkit.Dial(t, "tcp", s.addr)
			c.WriteString(tt.send)
			for deadline := time.Now().Add(testkit.Patience); tt.drip; time.Sleep(time.Millisecond) {
				if _, err := c.Conn.Write([]byte("x")); err != nil {
					break // cut off
				}
				if time.Now().After(deadline) {
					t.Fatal("is not cut off")
				}
			}
			_, _ = io.Copy(io.Discard, c.Conn)
			s.answered(tt.want...)
		})
	}
	t.Run("silence", func(t *testing.T) {
		s := serve(t, 50*time.Millisecond, func(http.ResponseWriter, *http.Request) {})
		for range 2 {
			c := testkit.Dial(t, "tcp", s.addr)
			c.WriteString(whole)
			c.ReadResponse()
			c.Close()
		}
		s.answered(200, 200)
	})
}

// TestServerPanics: a panic is an answer of 500 where there was none, and nothing
// of it gets to the client; of what a client has sent, nothing gets to the log.
func TestServerPanics(t *testing.T) {
	const secret = "tell-nobody"
	s := serve(t, testkit.Patience, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/begun" {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "begun")
			_ = http.NewResponseController(w).Flush()
		}
		panic("cannot " + r.URL.RawQuery)
	})
	c := testkit.Dial(t, "tcp", s.addr)
	c.WriteString("GET /?" + secret + " HTTP/1.1\r\nHost: h\r\n\r\n")
	resp := c.ReadResponse()
	if body, err := io.ReadAll(resp.Body); resp.StatusCode != 500 || string(body) != "internal error\n" {
		t.Errorf("%s %q, error %v", resp.Status, body, err)
	}
	c.ExpectEOF()

	c = testkit.Dial(t, "tcp", s.addr)
	c.WriteString("GET /begun?" + secret + " HTTP/1.1\r\nHost: h\r\n\r\n")
	resp = c.ReadResponse()
	if body, err := io.ReadAll(resp.Body); err == nil || string(body) != "begun" {
		t.Errorf("%q, error %v, want a cut", body, err)
	}
	s.answered(500, 200)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.panics != 2 {
		t.Errorf("%d panics counted", s.panics)
	}
	if text := s.log.String(); strings.Contains(text, secret) || strings.Count(text, "panic in an HTTP handler") != 2 {
		t.Errorf("the log: %s", text)
	}
}

// TestServerLogsLittle: requests cannot fill the log.
func TestServerLogsLittle(t *testing.T) {
	s := serve(t, testkit.Patience, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204); w.WriteHeader(204) })
	c := testkit.Dial(t, "tcp", s.addr)
	for range 1000 {
		c.WriteString("GET /?a;b HTTP/1.1\r\nHost: h\r\n\r\n")
		c.ReadResponse()
	}
	lines := strings.Count(s.log.String(), "\n")
	if lines == 0 || lines >= 1000 {
		t.Errorf("%d lines for 2000 complaints", lines)
	}
}

// TestServerEvicts: too many silent connections are closed, and those with a request
// under way are not.
func TestServerEvicts(t *testing.T) {
	const most, clients = 2, 7
	const whole = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	begun := make(chan struct{}, 1)
	var evicted atomic.Int64
	s := serve(t, testkit.Patience, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			begun <- struct{}{}
		}
		echoBody(w, r)
	}, func(o *api.ServerOptions) { o.MaxIdle, o.Evicted = most, func() { evicted.Add(1) } })
	busy := testkit.Dial(t, "tcp", s.addr)
	busy.WriteString("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\na")
	<-begun
	var silent []*testkit.Conn
	for range clients {
		c := testkit.Dial(t, "tcp", s.addr)
		c.WriteString(whole)
		if _, err := io.ReadAll(c.ReadResponse().Body); err != nil {
			t.Fatal(err)
		}
		silent = append(silent, c)
	}
	testkit.Eventually(t, testkit.Patience, func() bool { return evicted.Load() == clients-most }, "the others closed")
	served := 0
	for _, c := range silent {
		_, _ = io.WriteString(c.Conn, whole)
		if resp, err := http.ReadResponse(c.R, nil); err == nil && resp.StatusCode == 200 {
			served++
		}
	}
	if served != most {
		t.Errorf("%d silent connections were left, want %d", served, most)
	}
	busy.WriteString("b")
	if resp := busy.ReadResponse(); resp.StatusCode != 200 {
		t.Errorf("the one with a request under way: %s", resp.Status)
	}
}

// TestServerPipeline: a thousand requests at once are answered, in their order.
func TestServerPipeline(t *testing.T) {
	const n = 1000
	s := serve(t, testkit.Patience, echoBody)
	c := testkit.Dial(t, "tcp", s.addr)
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i)
	}
	go func() { _, _ = io.WriteString(c.Conn, all.String()) }()
	c.R = bufio.NewReaderSize(c.Conn, 1<<16)
	for i := range n {
		resp := c.ReadResponse()
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != fmt.Sprintf("GET /%d ", i) {
			t.Fatalf("answer %d: %q, error %v", i, body, err)
		}
	}
}
