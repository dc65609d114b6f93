package sockjs

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"sluice/internal/cors"
)

// transport is one way in which clients get messages.
type transport struct {
	label       string // of the metrics
	method      string
	preflight   string
	contentType string
	legacy      bool
	callback    bool // the query names a function of the page
	poll        bool // the answer ends with the first frame
	prelude     func(callback string) string
	wrap        func(dst []byte, frame, callback string) []byte
}

// prelude is what old browsers and proxies want to have before they pass on what
// comes later.
var prelude = strings.Repeat("h", 2048) + "\n"

// The transports, by the last element of the path.
var transports = map[string]*transport{
	"xhr": {
		label: "sockjs_xhr", method: http.MethodPost, preflight: http.MethodOptions, contentType: typeScript, poll: true,
		wrap: appendLine,
	},
	"xhr_streaming": {
		label: "sockjs_xhr_streaming", method: http.MethodPost, preflight: http.MethodOptions, contentType: typeScript,
		prelude: func(string) string { return prelude }, wrap: appendLine,
	},
	"eventsource": {
		label: "sockjs_eventsource", method: http.MethodGet, contentType: typeEvents,
		prelude: func(string) string { return "\r\n" }, wrap: appendEvent,
	},
	"htmlfile": {
		label: "sockjs_htmlfile", method: http.MethodGet, contentType: typeHTML, legacy: true, callback: true,
		prelude: htmlfileHead, wrap: appendScript,
	},
	"jsonp": {
		label: "sockjs_jsonp", method: http.MethodGet, contentType: typeScript, legacy: true, callback: true, poll: true,
		wrap: appendCall,
	},
}

func appendLine(dst []byte, frame, _ string) []byte { return append(append(dst, frame...), '\n') }

// appendEvent makes a frame an event. Clients undo the escape of the percent sign;
// line ends, which would need one too, are escaped already.
func appendEvent(dst []byte, frame, _ string) []byte {
	dst = append(dst, "data: "...)
	dst = append(dst, strings.ReplaceAll(frame, "%", "%25")...)
	return append(dst, "\r\n\r\n"...)
}

func appendScript(dst []byte, frame, _ string) []byte {
	dst = append(dst, "<script>\np("...)
	dst = append(dst, strings.ReplaceAll(string(appendString(nil, []byte(frame))), "<", `\u003c`)...) // no end of the script
	return append(dst, ");\n</script>\r\n"...)
}

func appendCall(dst []byte, frame, callback string) []byte {
	dst = append(append(append(dst, "/**/"...), callback...), '(')
	return append(appendString(dst, []byte(frame)), ");\r\n"...)
}

// htmlfilePolicy lets the page run the scripts that its frames are, and be framed by
// pages of other origins, whose functions they call.
const htmlfilePolicy = "default-src 'none'; script-src 'unsafe-inline'"

// htmlfileHead is the page in which the frames come as scripts, long enough for a
// browser to begin with it.
func htmlfileHead(callback string) string {
	head := `<!doctype html>
<html><head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
</head><body><h2>Don't panic!</h2>
  <script>
    document.domain = document.domain;
    var c = parent.` + html.EscapeString(callback) + `;
    c.start();
    function p(d) {c.message(d);};
    window.onload = function() {c.stop();};
  </script>
`
	return head + strings.Repeat(" ", max(0, 1025-len(head))) + "\r\n\r\n"
}

// callbackName is what a function of a page may be called.
var callbackName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,32}$`)

// callbackOf returns the function that the query names; else it answers.
func callbackOf(w http.ResponseWriter, r *http.Request) (string, bool) {
	q := r.URL.Query()
	name := q.Get("c")
	if name == "" {
		name = q.Get("callback")
	}
	problem := ""
	switch {
	case name == "":
		problem = `"callback" parameter required`
	case !callbackName.MatchString(name):
		problem = `invalid "callback" parameter`
	default:
		return name, true
	}
	w.Header().Set("Content-Type", typeText)
	w.WriteHeader(http.StatusInternalServerError) // so the protocol has it
	fmt.Fprint(w, problem)
	return "", false
}

// maxIgnored is how long a body may be where none is of use.
const maxIgnored = 4 << 10

// serveReceive is a request that waits for messages. The first one opens the
// session.
func (s *Server) serveReceive(w http.ResponseWriter, r *http.Request, t target, tr *transport) {
	cors.Allow(w, r)
	w.Header().Set("Cache-Control", cacheNever)
	callback := ""
	if tr.callback {
		var ok bool
		if callback, ok = callbackOf(w, r); !ok {
			return
		}
	}
	// net/http sees that a client has gone once it has read all of the request.
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxIgnored)); err != nil {
		http.Error(w, "a body is not expected", http.StatusRequestEntityTooLarge)
		return
	}
	n, mine := s.find(r, t.key())
	if !mine {
		notFound(w)
		return
	}
	a := answer{w: w, control: http.NewResponseController(w), transport: tr, callback: callback}
	if n != nil {
		if !n.attach() {
			s.options.Refused("session_busy")
			a.begin()
			a.send(busy)
			return
		}
		s.answer(r.Context(), n, &a)
		return
	}
	admission, refusal := s.admitPatiently(r, t.hub)
	if refusal == nil {
		n, refusal = s.create(r, t, tr.label, admission)
	}
	if refusal != nil {
		s.refuse(w, refusal)
		return
	}
	a.begin()
	if !a.send(frameOpen) {
		n.end()
		return
	}
	if tr.poll {
		n.detach()
		return
	}
	s.answer(r.Context(), n, &a)
}

// answer sends to the client of an attached session until the answer is full or
// the session over. A client that goes away meanwhile has ended its session.
func (s *Server) answer(ctx context.Context, n *session, a *answer) {
	a.begin()
	gone := func() bool {
		select {
		case <-ctx.Done():
			return true
		case <-s.stopped:
			return true
		default:
			return false
		}
	}
	if a.transport.poll {
		wait(ctx, n.poll(time.Now()))
	}
	heartbeat := time.NewTimer(s.cfg.HeartbeatInterval)
	defer heartbeat.Stop()
	var scratch []byte
	for {
		if gone() {
			n.end()
			return
		}
		text, last := n.next(scratch[:0])
		if len(text) == 0 {
			select {
			case <-n.Wake():
				continue
			case <-ctx.Done():
				continue
			case <-s.stopped:
				continue
			case <-heartbeat.C:
				text = append(text, frameHeartbeat...)
			}
		}
		if !a.send(string(text)) {
			n.end()
			return
		}
		if last || a.transport.poll || a.sent >= s.cfg.ResponseBytes {
			n.detach()
			return
		}
		heartbeat.Reset(s.cfg.HeartbeatInterval)
		if scratch = text; cap(scratch) > 64<<10 {
			scratch = nil
		}
	}
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// answer is the body of one answer under way.
type answer struct {
	w         http.ResponseWriter
	control   *http.ResponseController
	transport *transport
	callback  string
	begun     bool
	sent      int // bytes of frames
	scratch   []byte
}

// writeTimeout is how long a client may not read, beyond what the kernel holds for
// it, before it counts as gone.
const writeTimeout = 30 * time.Second

// begin sends what comes before the first frame. The time limits of the server are
// for usual requests; these last.
func (a *answer) begin() {
	if a.begun {
		return
	}
	a.begun = true
	_ = a.control.SetReadDeadline(time.Time{}) // a recorder in a test has none
	a.w.Header().Set("Content-Type", a.transport.contentType)
	if a.transport.contentType == typeHTML {
		a.w.Header().Set("Content-Security-Policy", htmlfilePolicy)
	}
	if a.transport.contentType == typeEvents {
		a.w.Header().Set("X-Accel-Buffering", "no") // nginx would keep it
	}
	if a.transport.prelude != nil {
		a.write([]byte(a.transport.prelude(a.callback)))
	}
}

// send sends one frame by itself; false means that the client has gone.
func (a *answer) send(frame string) bool {
	a.scratch = a.transport.wrap(a.scratch[:0], frame, a.callback)
	a.sent += len(a.scratch)
	return a.write(a.scratch)
}

func (a *answer) write(p []byte) bool {
	_ = a.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := a.w.Write(p); err != nil {
		return false
	}
	return a.transport.poll || a.control.Flush() == nil
}
