package engine

import (
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"sluice/frame"
	"sluice/internal/budget"
	"sluice/internal/later"
)

// Handler decides about opening handshakes. Its methods run on event loops,
// several at once, and must not block.
type Handler interface {
	// Upgrade is asked about every request that is a correct opening handshake
	// (RFC 6455 §4.2.1): once, and again each time that a Refusal.Later of its own
	// has come to something. The request and everything it refers to is
	// valid until Upgrade returns; a string that is kept must be cloned, or it
	// pins the whole request head. Over TLS its TLS is set; a client certificate
	// in it that has a verified chain says who the client is. A non-nil Refusal
	// is sent to the client.
	Upgrade(c *Conn, r *http.Request) (Acceptance, *Refusal)
}

// HTTPHandler is a Handler that claims some of the requests on the client port
// for an http.Server behind Engine.HTTPListener.
type HTTPHandler interface {
	// ServesHTTP is asked first about every HTTP/1 request, an opening handshake
	// or not. It must not touch the body, which may not be here yet. True hands
	// over the connection, and so all that the client sends on it afterwards.
	// It runs on event loops, as Upgrade does.
	ServesHTTP(r *http.Request) bool
}

// Endpoint is the other side of one upgraded connection: it takes what the
// client says. Its methods run on the connection's loop and must not block.
type Endpoint interface {
	// Message takes one whole message, a text or binary one. The payload is
	// valid until Message returns; the callee may change it in place.
	Message(op frame.Opcode, payload []byte)

	// Closed tells that the connection has left the open state; nothing more
	// will be delivered or accepted. It is called exactly once, and never from
	// within Conn.Send, Conn.Write or Conn.Close: these may be called while the
	// caller walks its own lists.
	Closed()
}

// Describer is an Endpoint that has something to add to the log lines about its
// connection: who it is. Describe may still be called after Closed.
type Describer interface {
	Describe(attrs []slog.Attr) []slog.Attr
}

// Drainer is an Endpoint that tells its client, in the client's own language,
// that the node is going away. Draining is called right before the close frame
// is queued and may send; reconnectAfter is how long the client should wait.
type Drainer interface {
	Draining(reconnectAfter time.Duration)
}

// Budgeted is an Endpoint whose queue is held against a budget that it shares with
// others, besides the node's own; where that is exceeded, the longest of these
// queues are closed. Nil means none.
type Budgeted interface {
	QueueBudget() *budget.Budget
}

// Acceptance is a handler's yes to an opening handshake.
type Acceptance struct {
	// Subprotocol is the value of Sec-WebSocket-Protocol in the answer; empty
	// means none was selected. It must be one the client offered.
	Subprotocol string

	// Expires ends the connection with CloseTokenExpired at that time. Zero
	// means never.
	Expires time.Time

	// Loop is where the connection shall live, a loop of the same engine. Nil
	// means the one it is on.
	Loop *Loop

	// Open makes the endpoint. It runs at once, after the answer has been
	// queued, so that what it sends follows the answer. An error closes the
	// connection: a *frame.Error with its code, any other with
	// CloseInternalError.
	//
	// Where Loop is another loop, Open runs there some time later, with another
	// Conn than Upgrade had, and it does not run at all if the client does not
	// get there. So Upgrade must not take anything that Open would give back.
	Open func(c *Conn) (Endpoint, error)
}

// Refusal is a handler's no: an HTTP answer instead of 101.
type Refusal struct {
	Status int
	// Label is the value of the metric label "reason": bounded, snake_case.
	Label string
	// Reason is the body of the answer, one line that says what to do.
	Reason string
	// RetryAfter adds the header of that name, with jitter.
	RetryAfter time.Duration

	// Later, where it is not nil, makes it a no for now: the client is not answered
	// but waits for it, and then Upgrade is asked again. The refusal is sent when
	// the client's HandshakeTimeout is over before. No more than
	// MaxWaitingHandshakes clients wait.
	Later later.Answer
}

// Serve is the answer of a request that net/http serves. Headers but Retry-After are
// the caller's, to be set before; Content-Type is plain text where it has set none.
func (r *Refusal) Serve(w http.ResponseWriter) {
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	if wait := r.RetrySeconds(); wait > 0 {
		h.Set("Retry-After", strconv.Itoa(wait))
	}
	w.WriteHeader(r.Status)
	_, _ = io.WriteString(w, r.Reason+"\n") // a client that has gone needs no answer
}

// RetrySeconds returns the value of the header Retry-After: between RetryAfter and
// twice that, another one for each client, in seconds rounded up, so that nobody
// comes back before it is of use; 0 where there is to be none.
func (r *Refusal) RetrySeconds() int {
	if r.RetryAfter <= 0 {
		return 0
	}
	wait := r.RetryAfter + rand.N(r.RetryAfter)
	return int((wait + time.Second - 1) / time.Second)
}
