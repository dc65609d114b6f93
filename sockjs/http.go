package sockjs

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"sluice/engine"
	"sluice/frame"
	"sluice/internal/cors"
)

// cacheNever is what the protocol says about caching where it is not for a year.
const cacheNever = "no-store, no-cache, no-transform, must-revalidate, max-age=0"

const (
	typeText   = "text/plain; charset=UTF-8"
	typeScript = "application/javascript; charset=UTF-8"
	typeHTML   = "text/html; charset=UTF-8"
	typeJSON   = "application/json; charset=UTF-8"
	typeEvents = "text/event-stream"
)

// ServeHTTP answers one request below the prefix.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Referrer-Policy", "no-referrer") // addresses may hold tokens
	t, ok := s.parse(r.URL.Path)
	if !ok {
		notFound(w)
		return
	}
	if origin := r.Header.Get("Origin"); len(r.Header["Origin"]) > 1 || origin != "" && !s.options.AllowOrigin(t.hub, origin, r.Host) {
		s.refuse(w, &engine.Refusal{Status: http.StatusForbidden, Label: "origin_denied",
			Reason: "pages of this origin may not connect; the configuration keys are auth.origins and hub.hubs.NAME.origins"})
		return
	}
	if t.session == "" {
		s.servePage(w, r, t)
		return
	}
	s.serveSession(w, r, t)
}

// servePage answers what belongs to no session.
func (s *Server) servePage(w http.ResponseWriter, r *http.Request, t target) {
	switch {
	case t.what == "":
		if allowed(w, r, http.MethodGet) {
			w.Header().Set("Content-Type", typeText)
			io.WriteString(w, "Welcome to SockJS!\n")
		}
	case t.what == "info":
		if allowed(w, r, http.MethodGet, http.MethodOptions) && !cors.Preflight(w, r, http.MethodGet) {
			serveInfo(w, r)
		}
	case t.what == "websocket":
		notWebSocket(w, r)
	case s.cfg.ClientURL != "" && iframePath.MatchString(t.what):
		if allowed(w, r, http.MethodGet) {
			s.serveIframe(w, r)
		}
	default:
		notFound(w)
	}
}

// serveSession answers what belongs to a session.
func (s *Server) serveSession(w http.ResponseWriter, r *http.Request, t target) {
	if t.what == "websocket" {
		notWebSocket(w, r)
		return
	}
	if send, ok := sends[t.what]; ok && (s.cfg.Legacy || !send.legacy) {
		if allowed(w, r, http.MethodPost, send.preflight) && !cors.Preflight(w, r, http.MethodPost) {
			s.serveSend(w, r, t, &send)
		}
		return
	}
	if tr, ok := transports[t.what]; ok && (s.cfg.Legacy || !tr.legacy) {
		if allowed(w, r, tr.method, tr.preflight) && !cors.Preflight(w, r, tr.method) {
			s.serveReceive(w, r, t, tr)
		}
		return
	}
	notFound(w)
}

func notFound(w http.ResponseWriter) {
	w.Header().Set("Content-Type", typeText)
	w.WriteHeader(http.StatusNotFound)
	io.WriteString(w, "404: there is nothing here\n")
}

func notWebSocket(w http.ResponseWriter, r *http.Request) {
	if allowed(w, r, http.MethodGet) {
		w.Header().Set("Content-Type", typeText)
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, "Not a valid websocket request\n")
	}
}

// allowed answers a request with another method than those.
func allowed(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	list := ""
	for _, m := range methods {
		if m != "" && m == r.Method {
			return true
		}
		if m != "" && list != "" {
			list += ", "
		}
		list += m
	}
	w.Header().Set("Allow", list)
	w.Header()["Content-Type"] = nil // nor may net/http think of one
	w.WriteHeader(http.StatusMethodNotAllowed)
	return false
}

// serveInfo tells what there is.
func serveInfo(w http.ResponseWriter, r *http.Request) {
	cors.Allow(w, r)
	w.Header().Set("Cache-Control", cacheNever)
	w.Header().Set("Content-Type", typeJSON)
	var entropy [4]byte
	rand.Read(entropy[:]) // never fails
	fmt.Fprintf(w, `{"websocket":true,"cookie_needed":false,"origins":["*:*"],"entropy":%d}`, binary.BigEndian.Uint32(entropy[:]))
}

// send is one way in which clients send.
type send struct {
	preflight string
	legacy    bool
	form      bool // the messages are in a form
	status    int
	answer    string
}

var sends = map[string]send{
	"xhr_send":   {preflight: http.MethodOptions, status: http.StatusNoContent},
	"jsonp_send": {legacy: true, form: true, status: http.StatusOK, answer: "ok"},
}

// serveSend takes messages from a client. It answers when the session's loop has
// had them: a client has one such request under way, so they stay in order, and one
// that sends faster than it is served waits.
func (s *Server) serveSend(w http.ResponseWriter, r *http.Request, t target, how *send) {
	cors.Allow(w, r)
	w.Header().Set("Cache-Control", cacheNever)
	w.Header().Set("Content-Type", typeText)
	n, _ := s.find(r, t.key())
	if n == nil {
		notFound(w)
		return
	}
	if !n.sent(time.Now()) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many requests", http.StatusTooManyRequests)
		return
	}
	body, err := s.readBody(w, r, how)
	if err != nil {
		status := http.StatusBadRequest
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, "the body cannot be read", status)
		return
	}
	messages, err := decodeMessages(body)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError) // so the protocol has it
		io.WriteString(w, err.Error())
		return
	}
	if !n.receive(messages) {
		http.Error(w, "overloaded, try again", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(how.status)
	io.WriteString(w, how.answer)
}

// readBody returns the messages as they were sent.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, how *send) ([]byte, error) {
	r.Body = http.MaxBytesReader(w, r.Body, int64(s.cfg.MaxBody))
	if how.form && r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
		if err := r.ParseForm(); err != nil {
			return nil, err
		}
		return []byte(r.PostForm.Get("d")), nil
	}
	return io.ReadAll(r.Body)
}

// messagesPerTask bounds what the loop does for one client before others have
// their turn.
const messagesPerTask = 128

// receive gives the loop what the client has sent and waits until it has been
// handled. False means that the loop is overloaded; some may have been handled.
func (s *session) receive(messages []string) bool {
	for len(messages) > 0 {
		some := messages[:min(len(messages), messagesPerTask)]
		messages = messages[len(some):]
		handled := make(chan struct{})
		ok := s.loop.Post(task(func() {
			defer close(handled)
			for _, m := range some {
				if s.client != nil {
					s.client.Receive(true, []byte(m))
				}
			}
		}))
		if !ok {
			return false
		}
		select {
		case <-handled:
		case <-s.server.stopped:
			return false
		}
	}
	return true
}

// refuse answers a client that is not let in.
func (s *Server) refuse(w http.ResponseWriter, refusal *engine.Refusal) {
	s.options.Refused(refusal.Label)
	w.Header().Set("Content-Type", typeText)
	w.Header().Set("Cache-Control", cacheNever)
	refusal.Serve(w)
}

// The protocol's word for a second request that waits for the same messages.
const codeBusy frame.CloseCode = 2010

var busy = string(appendClose(nil, codeBusy, "Another connection still open"))
