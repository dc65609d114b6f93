package api

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sluice/hub"
	"sluice/hub/wire"
)

func sendToAll(w http.ResponseWriter, c *call) *problem {
	return c.send(w, c.hub.SendToAll)
}

func sendToGroup(w http.ResponseWriter, c *call) *problem {
	return c.send(w, c.toGroup(c.PathValue("group")))
}

func sendToUser(w http.ResponseWriter, c *call) *problem {
	return c.send(w, c.toUser(c.PathValue("user")))
}

func sendToConnection(w http.ResponseWriter, c *call) *problem {
	return c.send(w, c.toConnection(c.PathValue("id")))
}

func (c *call) toGroup(group string) func(*hub.Outgoing, hub.Selection) error {
	return func(m *hub.Outgoing, s hub.Selection) error { return c.hub.SendToGroup(group, m, s) }
}

func (c *call) toUser(user string) func(*hub.Outgoing, hub.Selection) error {
	return func(m *hub.Outgoing, s hub.Selection) error { return c.hub.SendToUser(user, m, s) }
}

// toConnection succeeds as well when the connection is gone: it may go a moment
// later, and the caller has to live with that.
func (c *call) toConnection(id string) func(*hub.Outgoing, hub.Selection) error {
	return func(m *hub.Outgoing, _ hub.Selection) error {
		if err := c.hub.SendToConnection(id, m); !errors.Is(err, hub.ErrNoConnection) {
			return err
		}
		return nil
	}
}

// send reads the message and to whom it goes, and answers 202.
func (c *call) send(w http.ResponseWriter, to func(*hub.Outgoing, hub.Selection) error) *problem {
	if p := c.data.overloaded(); p != nil {
		return p
	}
	selection, p := c.selection()
	if p != nil {
		return p
	}
	m, p := c.message()
	if p != nil {
		return p
	}
	p = c.once(m.Data, func() *problem {
		if err := to(m, selection); err != nil {
			return problemOf(err)
		}
		return nil
	})
	if p == nil {
		w.WriteHeader(http.StatusAccepted)
	}
	return p
}

// message reads the body as a message.
func (c *call) message() (*hub.Outgoing, *problem) {
	m := &hub.Outgoing{ConflationKey: c.param("conflationKey")}
	if len(m.ConflationKey) > wire.MaxConflationKey {
		return nil, longKey()
	}
	var p *problem
	if m.TTL, p = c.ttl(); p != nil {
		return nil, p
	}
	if m.DataType, p = c.dataType(); p != nil {
		return nil, p
	}
	if m.Data, p = c.body(); p != nil {
		return nil, p
	}
	switch {
	case m.DataType == wire.JSON && !json.Valid(m.Data):
		return nil, badRequest("body", "is not one JSON value, as Content-Type says; send text as text/plain")
	case m.DataType != wire.Binary && !utf8.Valid(m.Data):
		return nil, badRequest("body", "is not UTF-8; send other bytes as application/octet-stream")
	}
	return m, nil
}

func longKey() *problem {
	return badRequest("conflationKey", "longer than "+strconv.Itoa(wire.MaxConflationKey)+" bytes")
}

// dataType is what Content-Type says of the body.
func (c *call) dataType() (wire.DataType, *problem) {
	header := c.Header.Get("Content-Type")
	switch header { // as most callers write it, without taking it apart
	case "", "application/octet-stream":
		return wire.Binary, nil
	case "application/json":
		return wire.JSON, nil
	case "text/plain":
		return wire.Text, nil
	}
	kind, params, err := mime.ParseMediaType(header)
	if err == nil && params["charset"] != "" && !isUTF8(params["charset"]) {
		err = errors.New("charset")
	}
	if err == nil {
		switch kind {
		case "application/json":
			return wire.JSON, nil
		case "text/plain":
			return wire.Text, nil
		case "application/octet-stream":
			return wire.Binary, nil
		}
	}
	return 0, &problem{status: http.StatusUnsupportedMediaType, Code: codeMediaType, Target: "Content-Type",
		Message: "must be application/json, text/plain or application/octet-stream, in UTF-8 where it is text"}
}

func isUTF8(charset string) bool {
	return len(charset) <= 8 && (strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8") || strings.EqualFold(charset, "us-ascii"))
}

// body reads the whole body.
func (c *call) body() ([]byte, *problem) {
	body, err := c.readBody()
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, &problem{status: http.StatusRequestEntityTooLarge, Code: codeTooLarge, Target: "body",
			Message: "is longer than " + strconv.FormatInt(c.data.MaxBody, 10) + " bytes"}
	}
	if err != nil {
		return nil, badRequest("body", "cannot be read")
	}
	return body, nil
}

// readBody is io.ReadAll that knows how much to expect.
func (c *call) readBody() ([]byte, error) {
	if n := c.ContentLength; n >= 0 && n <= min(maxExpected, c.data.MaxBody) {
		body := make([]byte, n)
		_, err := io.ReadFull(c.Body, body)
		return body, err
	}
	return io.ReadAll(c.Body)
}

// maxExpected bounds the memory that a caller gets for saying how much will come.
const maxExpected = 64 << 10

// ttlRange says what a time to live may be.
var ttlRange = "must be 0 to " + strconv.Itoa(wire.MaxTTL)

// ttl is how long the message is kept for a session that is away.
func (c *call) ttl() (time.Duration, *problem) {
	text := c.param("messageTtlSeconds")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n > wire.MaxTTL {
		return 0, badRequest("messageTtlSeconds", ttlRange)
	}
	return time.Duration(n) * time.Second, nil
}
