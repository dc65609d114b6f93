package hub

import (
	"sluice/frame"
	"sluice/hub/wire"
)

// refusal is why the hub did not do what a client asked for. The set is bounded:
// each value is counted, and has its label, its acknowledgement and, where a
// client can meet it while coming in, its close code.
type refusal uint8

const (
	accepted refusal = iota // no refusal

	forbidden
	invalidGroup
	tooManyGroups
	hubGroupsFull
	hubFull
	noHandler
	unsupported
	overloaded
	malformed

	refusalCount
)

var refusals = [refusalCount]struct {
	label   string
	name    wire.ErrorName
	message string
	code    frame.CloseCode
}{
	accepted: {label: "accepted"},

	// An InternalServerError invites the client to try again; the others don't.
	forbidden:     {"forbidden", wire.Forbidden, "no role allows this for the group", 0},
	invalidGroup:  {"invalid_group", wire.BadRequest, "the group name is blank or too long", frame.ClosePolicyViolation},
	tooManyGroups: {"too_many_groups", wire.BadRequest, "the connection is in as many groups as allowed", frame.ClosePolicyViolation},
	hubGroupsFull: {"hub_groups_full", wire.InternalServerError, "the hub has as many groups as allowed", frame.CloseTryAgainLater},
	hubFull:       {"hub_full", "", "the hub has as many connections as allowed", frame.CloseTryAgainLater},
	noHandler:     {"no_handler", wire.InternalServerError, "the hub has no handler for events", 0},
	unsupported:   {"unsupported", wire.BadRequest, "this kind of message is not supported", 0},
	overloaded:    {"overloaded", wire.InternalServerError, "overloaded, try again", 0},

	// Not answered but closed, with the code and reason of the *wire.Error.
	malformed: {label: "malformed"},
}

// dropReason is why a copy of a message did not reach a client.
type dropReason uint8

const (
	linkRefused    dropReason = iota // the link is closed or its queue is full
	loopOverloaded                   // the inbox of the client's loop is full

	dropReasonCount
)

// The labels of Stats.Dropped. A copy under LinkRefused went to a link that was
// closing, or whose full queue the link counts itself.
const (
	LinkRefused    = "link_refused"
	LoopOverloaded = "loop_overloaded"
)

var dropLabels = [dropReasonCount]string{
	linkRefused:    LinkRefused,
	loopOverloaded: LoopOverloaded,
}
