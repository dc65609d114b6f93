package api

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"sluice/internal/rate"
)

// ServerOptions say what a [Server] serves, and who hears of what it does.
type ServerOptions struct {
	// Handler answers the requests that are well formed.
	Handler http.Handler

	// RequestTimeout is the time a client has for one request, body and all.
	// Default 10s.
	RequestTimeout time.Duration

	// MaxHeadBytes bounds the head of a request, some 4 KiB more or less. Default
	// 8KiB.
	MaxHeadBytes int

	// MaxIdle bounds the connections on which no request is under way, where the
	// listener has few places; the one that has been silent for longest is closed.
	// 0 for no bound.
	MaxIdle int

	// HSTS, when not 0, tells browsers that came over TLS to use nothing else for
	// so long.
	HSTS time.Duration

	// Answered hears the status of each answer, those that net/http makes by
	// itself included, and [NoAnswer]. Any goroutine; nil for nobody.
	Answered func(status int)

	// Evicted hears of each connection that is closed because of MaxIdle. Any
	// goroutine; it must not block. Nil for nobody.
	Evicted func()

	// Panicked hears of each panic of the handler. Any goroutine; nil for nobody.
	Panicked func()

	// Log gets the panics, and at the level for debugging what net/http has to
	// say; a few lines a second. Default: slog.Default.
	Log *slog.Logger
}

// NoAnswer stands for the status where a request did not come to its end in time
// and the connection was closed without a word.
const NoAnswer = 0

// Server is an http.Server whose answers all have the headers that keep a browser
// from making more of them than they are, and are counted.
type Server struct {
	*http.Server
	answered func(status int)
	hsts     string
	idlers   idlers
}

// NewServer returns a server with limits that a slow or hostile client cannot
// pass. The caller calls Serve and shuts it down.
func NewServer(o ServerOptions) *Server {
	if o.Answered == nil {
		o.Answered = func(int) {}
	}
	if o.Panicked == nil {
		o.Panicked = func() {}
	}
	if o.Evicted == nil {
		o.Evicted = func() {}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	s := &Server{answered: o.Answered, hsts: strictTransport(o.HSTS), idlers: idlers{most: o.MaxIdle, evicted: o.Evicted}}
	timeout := cmp.Or(o.RequestTimeout, defaultRequestTimeout)
	lines := rate.New(logLinesPerSecond)
	s.Server = &http.Server{
		Handler:           &outermost{server: s, next: o.Handler, panicked: o.Panicked, log: o.Log, lines: lines},
		ReadHeaderTimeout: min(timeout, 5*time.Second),
		ReadTimeout:       timeout,
		WriteTimeout:      2 * time.Minute, // a CPU profile of a minute, over a bad line
		IdleTimeout:       2 * time.Minute, // longer than any usual scrape interval
		MaxHeaderBytes:    cmp.Or(o.MaxHeadBytes, 8<<10),
		ConnState:         followState,
		ErrorLog:          log.New(&complaints{log: o.Log, lines: lines}, "", 0),

		DisableGeneralOptionsHandler: true, // OPTIONS * is for the handler to refuse
	}
	return s
}

// Serve is http.Server.Serve.
func (s *Server) Serve(ln net.Listener) error { return s.Server.Serve(&watched{ln, s}) }

// strictTransport returns the value of the header, "" for none.
func strictTransport(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf("max-age=%d", int64(d.Seconds()))
}

// guardHeaders are in every answer; a handler may replace them. What is served
// here is for programs: no page may frame it, keep it, or guess that it is a
// script; and an address, which may hold a token, is not told to others.
//
// Names are canonical, and nobody changes the values, so that they cost an answer
// nothing but the places in its header.
var guardHeaders = []struct {
	name   string
	values []string
}{
	{"Cache-Control", []string{"no-store"}},
	{"Content-Security-Policy", []string{"default-src 'none'; frame-ancestors 'none'"}},
	{"Referrer-Policy", []string{"no-referrer"}},
	{"X-Content-Type-Options", []string{"nosniff"}},
}

// outermost is the handler around the one that is served.
type outermost struct {
	server   *Server
	next     http.Handler
	panicked func()
	log      *slog.Logger
	lines    *rate.Limiter
}

func (o *outermost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for i := range guardHeaders {
		h[guardHeaders[i].name] = guardHeaders[i].values
	}
	if r.TLS != nil && o.server.hsts != "" {
		h.Set("Strict-Transport-Security", o.server.hsts)
	}
	if len(r.TransferEncoding) > 0 {
		// net/http prefers it to a Content-Length without a word, and a proxy in
		// front may have done otherwise: what follows on this connection could be
		// the rest of a body, written to look like a request of somebody else's
		// (RFC 9112 section 6.3).
		h.Set("Connection", "close")
	}
	a := &answering{ResponseWriter: w}
	defer o.finish(a, r)
	if r.ProtoMajor != 1 {
		// The preface of HTTP/2, which net/http leaves to handlers.
		h.Set("Connection", "close")
		http.Error(a, "only HTTP/1.1 is spoken here", http.StatusHTTPVersionNotSupported)
		return
	}
	o.next.ServeHTTP(a, r)
}

// finish counts the answer. A panic becomes one, or ends the connection where it
// has begun.
func (o *outermost) finish(a *answering, r *http.Request) {
	v := recover()
	aborted := v != nil
	if err, ok := v.(error); aborted && !(ok && errors.Is(err, http.ErrAbortHandler)) {
		o.panicked()
		if o.lines.Take(time.Now().UnixNano(), 1) {
			// Without the address of the request, which may hold a token, and without
			// what the panic says, which may quote what a client has sent.
			o.log.Error("panic in an HTTP handler", "method", r.Method, "kind", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
		}
		if a.status == 0 && !a.hijacked {
			a.Header().Set("Connection", "close")
			a.Header().Del("Content-Length")
			http.Error(a, "internal error", http.StatusInternalServerError)
			aborted = false
		}
	}
	switch {
	case a.hijacked:
	case a.status != 0:
		o.server.answered(a.status)
	case !aborted:
		o.server.answered(http.StatusOK) // net/http answers for a handler that says nothing
	}
	if aborted {
		panic(http.ErrAbortHandler)
	}
}

// answering remembers the status of an answer.
type answering struct {
	http.ResponseWriter
	status   int // 0 until there is one
	hijacked bool
}

func (a *answering) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
		if status == http.StatusRequestEntityTooLarge {
			a.Header().Set("Connection", "close") // nobody is going to read the rest
		}
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answering) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (a *answering) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Hijack makes it an http.Hijacker; the answer is somebody else's then.
func (a *answering) Hijack() (nc net.Conn, rw *bufio.ReadWriter, err error) {
	nc, rw, err = http.NewResponseController(a.ResponseWriter).Hijack()
	a.hijacked = err == nil
	return nc, rw, err
}

// logLinesPerSecond bounds the lines that requests can cause, of a server.
const logLinesPerSecond = 10

// complaints is what net/http writes its own lines to. Clients can cause some of
// them at will.
type complaints struct {
	log   *slog.Logger
	lines *rate.Limiter
}

func (c *complaints) Write(line []byte) (int, error) {
	if c.lines.Take(time.Now().UnixNano(), 1) {
		text, _, _ := strings.Cut(string(line), "\n") // no stacks
		c.log.Debug("HTTP server", "says", text)
	}
	return len(line), nil
}

var _ io.Writer = (*complaints)(nil)
