package hub_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub"
	"sluice/hub/wire"
)

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		what      string
		got, most uintptr
	}{
		// Each is a size class of the allocator, or stands in an array.
		{"session", hub.SessionSize, 128},
		{"extra", hub.ExtraSize, 128},
		{"reliable", hub.ReliableSize, 160},
		{"membership", hub.MembershipSize, 16},
		{"member", hub.MemberSize, 40},
		{"roster", hub.RosterSize, 32},
		{"group", hub.GroupSize, 128},
		{"delivery", hub.DeliverySize, 24},
		{"publication", hub.PublicationSize, 160},
	} {
		t.Logf("%s: %d bytes", c.what, c.got)
		if c.got > c.most {
			t.Errorf("a %s takes %d bytes, more than %d", c.what, c.got, c.most)
		}
	}
}

func TestConnectedIsFirst(t *testing.T) {
	w := newWorld(t, 2, hub.Tenant{})
	publisher := w.open(1)
	link := &fakeLink{}
	s, err := w.hub.Open(w.loops[0], link, auth.Identity{User: "ann", Groups: []string{"g"}}, wire.JSONv1{})
	if err != nil {
		t.Fatal(err)
	}
	publisher.send("g", "hello")
	w.drain()
	equal(t, "messages", link.take(), []string{
		`{"type":"system","event":"connected","userId":"ann","connectionId":"` + s.ID() + `"}`,
		string(wire.JSONv1{}.AppendMessage(nil, &wire.Message{
			Group: "g", DataType: wire.Text, Data: []byte("hello"),
		})),
	})
}

func TestConnectionIDs(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	shape := regexp.MustCompile(`^[a-z2-7]{26}$`)
	seen := map[string]bool{}
	for range 1000 {
		id := w.open(0).ID()
		if !shape.MatchString(id) || seen[id] {
			t.Fatalf("connection id %q is misshapen or not the first of its kind", id)
		}
		seen[id] = true
	}
}

// TestRequests says what every kind of request is answered, with an ackId and
// without one.
func TestRequests(t *testing.T) {
	nobody := &auth.Permissions{}
	for _, c := range []struct {
		name    string
		may     *auth.Permissions
		message string // without ackId and the closing brace
		refused string // label; "" means success
		answer  string // error of the ack; "" means success
	}{
		{"join", everything, `{"type":"joinGroup","group":"g"`, "", ""},
		{"join again", everything, `{"type":"joinGroup","group":"home"`, "", ""},
		{"join without role", nobody, `{"type":"joinGroup","group":"g"`, "forbidden",
			`"name":"Forbidden","message":"no role allows this for the group"`},
		{"join without permissions", nil, `{"type":"joinGroup","group":"g"`, "forbidden",
			`"name":"Forbidden","message":"no role allows this for the group"`},
		{"join with another group's role", roles("sluice.joinLeaveGroup.x"), `{"type":"joinGroup","group":"g"`, "forbidden",
			`"name":"Forbidden","message":"no role allows this for the group"`},
		{"join with the group's role", roles("sluice.joinLeaveGroup.g"), `{"type":"joinGroup","group":"g"`, "", ""},
		{"join a long name", everything, `{"type":"joinGroup","group":"` + strings.Repeat("x", 21) + `"`, "invalid_group",
			`"name":"BadRequest","message":"the group name is blank or too long"`},
		{"leave", everything, `{"type":"leaveGroup","group":"home"`, "", ""},
		{"leave another's group", everything, `{"type":"leaveGroup","group":"there"`, "", ""},
		{"leave no group", everything, `{"type":"leaveGroup","group":"nowhere"`, "", ""},
		{"leave without role", nobody, `{"type":"leaveGroup","group":"home"`, "forbidden",
			`"name":"Forbidden","message":"no role allows this for the group"`},
		{"send", everything, `{"type":"sendToGroup","group":"there","data":1`, "", ""},
		{"send to no group", everything, `{"type":"sendToGroup","group":"nowhere","data":1`, "", ""},
		{"send without role", roles("sluice.joinLeaveGroup"), `{"type":"sendToGroup","group":"there","data":1`, "forbidden",
			`"name":"Forbidden","message":"no role allows this for the group"`},
		{"event", everything, `{"type":"event","event":"e","data":1`, "no_handler",
			`"name":"InternalServerError","message":"the hub has no handler for events"`},
		{"new token", everything, `{"type":"auth","token":"t"`, "unsupported",
			`"name":"BadRequest","message":"this kind of message is not supported"`},
		{"sequence ack", everything, `{"type":"sequenceAck","sequenceId":3`, "", "silent"},
		{"ping", nil, `{"type":"ping"`, "", "pong"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, hub.Tenant{MaxGroupNameBytes: 20})
			w.open(0, "there")
			a := w.openAs(0, auth.Identity{Permissions: c.may, Groups: []string{"home"}}, wire.JSONv1{})

			a.say("%s,\"ackId\":7}", c.message)
			switch c.answer {
			case "":
				equal(t, "answer", a.link.take(), []string{`{"type":"ack","ackId":7,"success":true}`})
			case "silent":
				equal(t, "answer", a.link.take(), nil)
			case "pong":
				equal(t, "answer", a.link.take(), []string{`{"type":"pong"}`})
			default:
				equal(t, "answer", a.link.take(), []string{`{"type":"ack","ackId":7,"success":false,"error":{` + c.answer + `}}`})
			}
			if c.answer == "pong" {
				return
			}
			a.say("%s}", c.message)
			equal(t, "answer without an ackId", a.link.take(), nil)
			if a.link.closed {
				t.Errorf("closed: %d %s", a.link.code, a.link.reason)
			}
			if c.refused != "" {
				if n := count(t, w.hub.Stats().Refused, c.refused); n != 2 {
					t.Errorf("counted %d as %s, want 2", n, c.refused)
				}
			}
		})
	}
}

func TestMalformedClosesOnlyItsLink(t *testing.T) {
	for _, c := range []struct {
		name    string
		text    bool
		message string
		code    frame.CloseCode
		reason  string // part of it
	}{
		{"not JSON", true, `hello`, frame.CloseInvalidPayload, ""},
		{"unknown type", true, `{"type":"shout"}`, frame.CloseInvalidPayload, "type"},
		{"no group", true, `{"type":"joinGroup"}`, frame.CloseInvalidPayload, "group"},
		{"binary", false, `{"type":"ping"}`, frame.CloseUnsupportedData, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, hub.Tenant{})
			a, b, bad := w.open(0, "g"), w.open(0, "g"), w.open(0, "g")
			bad.Receive(c.text, []byte(c.message))
			bad.join("h") // what was already on its way
			if !bad.link.closed || bad.link.code != c.code || !strings.Contains(bad.link.reason, c.reason) {
				t.Fatalf("closed %v with %d %q, want %d %q", bad.link.closed, bad.link.code, bad.link.reason, c.code, c.reason)
			}
			equal(t, "to the offender", bad.link.take(),
				[]string{`{"type":"system","event":"disconnected","message":"` + strings.ReplaceAll(bad.link.reason, `"`, `\"`) + `"}`})
			bad.Closed()

			a.send("g", "hello")
			equal(t, "to a neighbour", b.link.data(t), []string{"hello"})
			if s := w.hub.Stats(); s.Sessions != 2 || s.Groups != 1 || s.Delivered != 2 || count(t, s.Refused, "malformed") != 1 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

func TestOpenRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits hub.Tenant
		groups []string
		label  string
		code   frame.CloseCode
	}{
		{"hub full", hub.Tenant{MaxSessions: 1}, nil, "hub_full", frame.CloseTryAgainLater},
		{"too many groups in the token", hub.Tenant{MaxGroupsPerSession: 1}, []string{"a", "b"}, "too_many_groups", frame.ClosePolicyViolation},
		{"too many groups in the hub", hub.Tenant{MaxGroups: 2}, []string{"a", "b"}, "hub_groups_full", frame.CloseTryAgainLater},
		{"long group name in the token", hub.Tenant{MaxGroupNameBytes: 3}, []string{"a", "long"}, "invalid_group", frame.ClosePolicyViolation},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, c.limits)
			first := w.open(0, "x")
			link := &fakeLink{}
			s, err := w.hub.Open(w.loops[0], link, auth.Identity{Groups: c.groups}, wire.JSONv1{})
			var e *frame.Error
			if s != nil || !errors.As(err, &e) || e.Code != c.code || e.Reason == "" {
				t.Fatalf("session %v, error %v, want close code %d", s, err, c.code)
			}
			equal(t, "messages", link.take(), nil)
			st := w.hub.Stats()
			if n := count(t, st.Refused, c.label); n != 1 || st.Sessions != 1 || st.Groups != 1 {
				t.Errorf("stats %+v, want one %s and nothing left behind", st, c.label)
			}
			first.Closed()
			w.open(0)
		})
	}
}
