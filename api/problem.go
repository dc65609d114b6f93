package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"sluice/auth"
	"sluice/hub"
)

// problem is an answer that is not what the caller hoped for. As JSON it has the
// form that published libraries read.
type problem struct {
	status int
	header [2]string // one more header; "" for none

	Code       string `json:"code"`
	Message    string `json:"message"`
	Target     string `json:"target,omitempty"`
	Details    any    `json:"details"`
	InnerError any    `json:"innererror"`
}

// codeHeader repeats the code where libraries look for it first, and for
// answers without a body.
const codeHeader = "X-Ms-Error-Code"

// The codes.
const (
	codeBadRequest   = "Error.BadRequest"
	codeUnauthorized = "Error.Unauthorized"
	codeNotFound     = "Error.NotFound"
	codeNoConnection = "Info.Connection.NotExisted"
	codeNoUser       = "Info.User.NotExisted"
	codeNoGroup      = "Warning.Group.NotExisted"
	codeNoHistory    = "Info.History.NotExisted"
	codeNoRule       = "Info.Permission.NotExisted"
	codeNoRange      = "Info.AddressRule.NotExisted"
	codeNoBan        = "Info.Ban.NotExisted"
	codeConflict     = "Error.Conflict"
	codeFull         = "Error.InsufficientStorage"
	codeKeyReused    = "Error.IdempotencyKeyReused"
	codeTooLarge     = "Error.RequestEntityTooLarge"
	codeMediaType    = "Error.UnsupportedMediaType"
	codeTooMany      = "Error.TooManyRequests"
	codeUnavailable  = "Error.ServiceUnavailable"
)

func badRequest(target, message string) *problem {
	return &problem{status: http.StatusBadRequest, Code: codeBadRequest, Target: target, Message: message}
}

func notFound(code, target, message string) *problem {
	return &problem{status: http.StatusNotFound, Code: code, Target: target, Message: message}
}

// retryAfter is what callers are told to wait for, in seconds.
const retryAfter = 1

func later(status int, code, message string) *problem {
	return &problem{status: status, Code: code, Message: message, header: [2]string{"Retry-After", strconv.Itoa(retryAfter)}}
}

// problemOf turns what a hub refused into an answer.
func problemOf(err error) *problem {
	switch {
	case errors.Is(err, hub.ErrNoConnection):
		return notFound(codeNoConnection, "connection", err.Error())
	case errors.Is(err, hub.ErrNoHistory):
		return notFound(codeNoHistory, "group", err.Error()+"; history_messages of the hub or of a rule for its groups turns one on")
	case errors.Is(err, hub.ErrInvalidGroup):
		return badRequest("group", err.Error())
	case errors.Is(err, auth.ErrRevocationsFull):
		return &problem{status: http.StatusInsufficientStorage, Code: codeFull, Message: err.Error()}
	case errors.Is(err, hub.ErrTooManyGroups), errors.Is(err, hub.ErrGroupsFull), errors.Is(err, hub.ErrGroupFull), errors.Is(err, hub.ErrTooManyRules):
		return &problem{status: http.StatusConflict, Code: codeConflict, Message: err.Error()}
	case errors.Is(err, hub.ErrMessageTooLarge):
		return &problem{status: http.StatusRequestEntityTooLarge, Code: codeTooLarge, Target: "body", Message: err.Error()}
	case errors.Is(err, hub.ErrRateLimited):
		return later(http.StatusTooManyRequests, codeTooMany, err.Error())
	}
	return later(http.StatusServiceUnavailable, codeUnavailable, err.Error())
}

// refusedOf turns what is wrong with a token into an answer.
func refusedOf(err error) *problem {
	p := &problem{status: http.StatusUnauthorized, Code: codeUnauthorized, Message: "the token was refused",
		header: [2]string{"WWW-Authenticate", "Bearer"}}
	if r, ok := errors.AsType[*auth.Refusal](err); ok {
		if r.Status == http.StatusServiceUnavailable {
			return later(r.Status, codeUnavailable, r.Detail)
		}
		p.Message = r.Detail
	}
	return p
}

// write answers with the problem.
func (p *problem) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set(codeHeader, p.Code)
	if p.header[0] != "" {
		h.Set(p.header[0], p.header[1])
	}
	writeJSON(w, p.status, p)
}

// writeJSON answers with a value as JSON.
func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		panic("api: an answer that is no JSON: " + err.Error()) // a bug: all of them are of our own types
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a caller that has gone needs no answer
}
