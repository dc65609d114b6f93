package hub

import (
	"sluice/frame"
	"sluice/hub/wire"
)

// refusal is why the hub did not do what a client or a back end asked for. The
// set is bounded: each value is counted, and has its label, its acknowledgement,
// the error for back ends, and the close code for a client that cannot be told
// otherwise: one that is coming in, or a raw one.
type refusal uint8

const (
	accepted refusal = iota // no refusal

	forbidden
	invalidGroup
	tooManyGroups
	tooManyRules
	hubGroupsFull
	hubFull
	userFull
	replaced
	rateLimited
	tooFast
	flooding
	tooLarge
	unauthorized
	unverified
	noConnection
	noHandler
	handlerFailed
	unsupported
	overloaded
	notMember
	groupFull
	statesFull
	noPresence
	noHistory
	streamNotFound
	streamExists
	tooManyStreams
	streamOutOfOrder
	streamIdle
	duplicate
	notResumed
	unackedFull
	malformed

	refusalCount
)

var refusals = [refusalCount]struct {
	label   string
	name    wire.ErrorName
	message string
	code    frame.CloseCode
	err     error
}{
	accepted: {label: "accepted"},

	// An InternalServerError invites the client to try again, TooManyRequests
	// to do so later; the others don't.
	forbidden:     {"forbidden", wire.Forbidden, "no role allows this for the group", frame.ClosePolicyViolation, nil},
	invalidGroup:  {"invalid_group", wire.BadRequest, "the group name is blank or too long", frame.ClosePolicyViolation, ErrInvalidGroup},
	tooManyGroups: {"too_many_groups", wire.BadRequest, "the connection is in as many groups as allowed", frame.ClosePolicyViolation, ErrTooManyGroups},
	hubGroupsFull: {"hub_groups_full", wire.InternalServerError, "the hub has as many groups as allowed", frame.CloseTryAgainLater, ErrGroupsFull},
	rateLimited:   {"rate_limited", wire.TooManyRequests, "the hub is over its rate of messages", 0, ErrRateLimited},
	tooFast:       {"connection_rate_limited", wire.TooManyRequests, "the connection is over its rate of messages", frame.ClosePolicyViolation, nil},
	tooLarge:      {"too_large", wire.BadRequest, "the message is larger than the hub allows", frame.CloseMessageTooBig, ErrMessageTooLarge},
	unauthorized:  {"unauthorized", wire.Unauthorized, "the token was refused", 0, nil},
	unverified:    {"unverified", wire.InternalServerError, "the token's issuer has not answered yet, try again", 0, nil},
	noHandler:     {"no_handler", wire.InternalServerError, "the hub has no handler for events", frame.CloseInternalError, nil},
	handlerFailed: {"handler_failed", wire.InternalServerError, "the handler of events has failed", frame.CloseInternalError, nil},
	unsupported:   {"unsupported", wire.BadRequest, "this kind of message is not supported", 0, nil},
	overloaded:    {"overloaded", wire.InternalServerError, "overloaded, try again", 0, ErrOverloaded},

	// Of group state.
	notMember:  {"not_member", wire.BadRequest, "only a member of the group can do this", 0, nil},
	groupFull:  {"group_full", wire.BadRequest, "the group has as many members as its presence allows", frame.CloseTryAgainLater, ErrGroupFull},
	statesFull: {"states_full", wire.BadRequest, "the group, or the node, holds as much state as allowed", 0, nil},
	noPresence: {"no_presence", wire.BadRequest, "no presence is kept of this group", 0, nil},

	noHistory: {"no_history", wire.BadRequest, "no history is kept of this group", 0, ErrNoHistory},

	// Of streams. One that breaks off for another reason has that one's name.
	streamNotFound:   {"stream_not_found", wire.StreamNotFound, "there is no such stream, or it is over", 0, nil},
	streamExists:     {"stream_exists", wire.BadRequest, "a stream with this id is under way", 0, nil},
	tooManyStreams:   {"too_many_streams", wire.BadRequest, "the connection has as many streams under way as allowed", 0, nil},
	streamOutOfOrder: {"stream_out_of_order", wire.InvalidSequenceID, "another part of the stream is awaited", 0, nil},
	streamIdle:       {"stream_idle", wire.IdleTimeout, "nothing came for as long as the stream may be silent", 0, nil},

	// Not a refusal to the client: what it asks for is done.
	duplicate: {"duplicate", wire.Duplicate, "a request with this ackId was done already", 0, nil},

	// Only while coming in, or instead of an answer.
	hubFull:  {"hub_full", "", "the hub has as many connections as allowed", frame.CloseTryAgainLater, nil},
	userFull: {"user_full", "", "the user has as many connections as allowed", frame.CloseTryAgainLater, nil},
	flooding: {"connection_flood", "", "the connection was over its rate of messages for too long", frame.ClosePolicyViolation, nil},
	replaced: {"replaced", "", "the user has connected again", frame.CloseReplaced, nil},

	notResumed:  {"not_resumed", "", "the session is over, start afresh", frame.ClosePolicyViolation, nil},
	unackedFull: {"unacked_full", "", "too many messages were not acknowledged, start afresh", frame.ClosePolicyViolation, nil},

	// Only for back ends.
	tooManyRules: {"too_many_rules", "", "", 0, ErrTooManyRules},
	noConnection: {"no_connection", "", "", 0, ErrNoConnection},

	// Not answered but closed, with the code and reason of the *wire.Error.
	malformed: {label: "malformed"},
}

// or returns the first of the two that is one.
func (r refusal) or(next refusal) refusal {
	if r != accepted {
		return r
	}
	return next
}

// err returns the refusal as back ends get it, nil for none.
func (r refusal) err() error { return refusals[r].err }

// dropReason is why a copy of a message did not reach a client.
type dropReason uint8

const (
	linkRefused    dropReason = iota // the link is closed or its queue is full
	loopOverloaded                   // the inbox of the client's loop is full
	expired                          // the client of a reliable session was away for longer than the message is good for

	dropReasonCount
)

// The labels of Stats.Dropped. A copy under LinkRefused went to a link that was
// closing, or whose full queue the link counts itself.
const (
	LinkRefused    = "link_refused"
	LoopOverloaded = "loop_overloaded"
	Expired        = "expired"
)

var dropLabels = [dropReasonCount]string{
	linkRefused:    LinkRefused,
	loopOverloaded: LoopOverloaded,
	expired:        Expired,
}
