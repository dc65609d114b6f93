package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"sluice/hub"
	"sluice/hub/wire"
)

const (
	// maxMany bounds the messages of one call.
	maxMany = 1000

	// maxManyBodies bounds what one call gives the loops, in bodies of the largest
	// size: shared data is small in the request and written out for each target.
	maxManyBodies = 16
)

// content is the data of a message inside a JSON document.
type content struct {
	DataType string          `json:"dataType"` // json, text or binary; "" means json
	Data     json.RawMessage `json:"data"`     // binary: base64 in a string
}

// manyBody is the body of sendMany. An item without data has that of the body.
type manyBody struct {
	content
	Messages []item `json:"messages"`
}

// item is one message and to whom it goes: exactly one of the four targets.
type item struct {
	All        bool    `json:"all"`
	Group      *string `json:"group"`
	User       *string `json:"user"`
	Connection *string `json:"connection"`

	content
	TTLSeconds    int      `json:"ttlSeconds"`
	ConflationKey string   `json:"conflationKey"`
	Excluded      []string `json:"excluded"`
	Filter        string   `json:"filter"`
}

// itemResult says what became of one item; Status is as for a call of its own.
type itemResult struct {
	Status int      `json:"status"`
	Error  *problem `json:"error,omitempty"`
}

// manyAnswer has the results in the order of the items.
type manyAnswer struct {
	Accepted int          `json:"accepted"`
	Results  []itemResult `json:"results"`
}

// sendMany sends each item by itself: what is wrong with one stops no other. An
// Idempotency-Key is remembered for each item, so that asking again after a
// partial success sends exactly what is missing.
func sendMany(w http.ResponseWriter, c *call) *problem {
	if p := c.data.overloaded(); p != nil {
		return p
	}
	raw, p := c.body()
	if p != nil {
		return p
	}
	body, shared, p := c.many(raw)
	if p != nil {
		return p
	}
	key, p := c.idempotencyKey()
	if p != nil {
		return p
	}
	request := c.fingerprint(raw)
	answer := manyAnswer{Results: make([]itemResult, len(body.Messages))}
	room := maxManyBodies * c.data.MaxBody
	for i := range body.Messages {
		p := c.sendItem(&body.Messages[i], shared, &room, func(send func() *problem) *problem {
			if key == "" {
				return send()
			}
			return c.data.sends.once(print(c.name, key, strconv.Itoa(i)), request, send)
		})
		if p != nil {
			answer.Results[i] = itemResult{p.status, p}
			if p.header[0] != "" {
				w.Header().Set(p.header[0], p.header[1]) // Retry-After
			}
			continue
		}
		answer.Accepted++
		answer.Results[i].Status = http.StatusAccepted
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// many reads the body, and the data that its items share.
func (c *call) many(raw []byte) (body manyBody, shared *hub.Outgoing, _ *problem) {
	if !utf8.Valid(raw) {
		return body, nil, badRequest("body", "is not UTF-8")
	}
	if p := strictly(raw, &body); p != nil {
		return body, nil, p
	}
	if n := len(body.Messages); n == 0 || n > maxMany {
		return body, nil, badRequest("messages", "must be 1 to "+strconv.Itoa(maxMany)+" messages")
	}
	if body.Data == nil {
		if body.DataType != "" {
			return body, nil, badRequest("dataType", "stands without data")
		}
		return body, nil, nil
	}
	shared = &hub.Outgoing{}
	return body, shared, body.read(shared)
}

// strictly reads one JSON object and nothing that is not known: a misspelt name
// would send to those who were to be left out.
func strictly(raw []byte, into any) *problem {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return badRequest("body", "is not what it must be: "+err.Error())
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badRequest("body", "goes on after the JSON object")
	}
	return nil
}

// read puts the data into a message.
func (d *content) read(m *hub.Outgoing) *problem {
	var (
		text string
		err  error
	)
	switch d.DataType {
	case "", "json":
		m.DataType, m.Data = wire.JSON, d.Data
		return nil
	case "text":
		err = json.Unmarshal(d.Data, &text)
		m.DataType, m.Data = wire.Text, []byte(text)
	case "binary":
		m.DataType = wire.Binary
		err = json.Unmarshal(d.Data, &m.Data)
	default:
		return badRequest("dataType", "must be json, text or binary")
	}
	if err != nil || d.Data[0] != '"' { // null is no error for the library
		return badRequest("data", "must be a string, in base64 where dataType is binary")
	}
	return nil
}

// sendItem sends one item through once, which knows what was sent before. room is
// what the call may still give the loops, in bytes.
func (c *call) sendItem(i *item, shared *hub.Outgoing, room *int64, once func(func() *problem) *problem) *problem {
	to, p := c.target(i)
	if p != nil {
		return p
	}
	m, p := i.message(shared)
	if p != nil {
		return p
	}
	if *room -= int64(len(m.Data)); *room < 0 {
		return &problem{status: http.StatusRequestEntityTooLarge, Code: codeTooLarge, Target: "data",
			Message: "the messages up to this one have more than " + strconv.FormatInt(maxManyBodies*c.data.MaxBody, 10) + " bytes in all; make several calls"}
	}
	s, p := selectionOf(i.Excluded, i.Filter)
	if p != nil {
		return p
	}
	return once(func() *problem {
		if err := to(m, s); err != nil {
			return problemOf(err)
		}
		return nil
	})
}

// target is where an item goes.
func (c *call) target(i *item) (to func(*hub.Outgoing, hub.Selection) error, _ *problem) {
	n := 0
	if i.All {
		n, to = n+1, c.hub.SendToAll
	}
	if i.Group != nil {
		n, to = n+1, c.toGroup(*i.Group)
	}
	if i.User != nil {
		n, to = n+1, c.toUser(*i.User)
	}
	if i.Connection != nil {
		n, to = n+1, c.toConnection(*i.Connection)
	}
	switch {
	case n != 1:
		return nil, badRequest("messages", `a message needs exactly one of "all", "group", "user" and "connection"`)
	case i.Connection != nil && (len(i.Excluded) > 0 || i.Filter != ""):
		return nil, badRequest("connection", "is one connection: excluded and filter are not for it")
	}
	return to, nil
}

// message is what an item sends: its own data, or what all share.
func (i *item) message(shared *hub.Outgoing) (*hub.Outgoing, *problem) {
	m := &hub.Outgoing{ConflationKey: i.ConflationKey, TTL: time.Duration(i.TTLSeconds) * time.Second}
	switch {
	case len(m.ConflationKey) > wire.MaxConflationKey:
		return nil, longKey()
	case i.TTLSeconds < 0 || i.TTLSeconds > wire.MaxTTL:
		return nil, badRequest("ttlSeconds", ttlRange)
	case i.Data != nil:
		return m, i.read(m)
	case i.DataType != "":
		return nil, badRequest("dataType", "stands without data")
	case shared == nil:
		return nil, badRequest("data", "is missing: neither the message has any nor the body")
	}
	m.DataType, m.Data = shared.DataType, shared.Data
	return m, nil
}
