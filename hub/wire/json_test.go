package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// decode decodes one text message with a fresh Decoder.
func decode(msg string) (Request, error) {
	var req Request
	err := JSONv1{}.Decode(new(Decoder), true, []byte(msg), &req)
	return req, err
}

func TestDecodeRefusesBinaryFrame(t *testing.T) {
	req := Request{Kind: Ping}
	err := JSONv1{}.Decode(new(Decoder), false, []byte(`{"type":"ping"}`), &req)
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != 1003 {
		t.Errorf("got error %v, want code 1003", err)
	}
}

// TestDecodeLimits has what would be unreadable in the golden file.
func TestDecodeLimits(t *testing.T) {
	send := func(data string) string { return `{"type":"sendToGroup","group":"g","data":` + data + "}" }
	nested := func(open, end string, depth int) string {
		return send(strings.Repeat(open, depth) + "0" + strings.Repeat(end, depth))
	}
	join := func(group string) string { return `{"type":"joinGroup","group":"` + group + `"}` }
	for _, tt := range []struct {
		name, msg, reason string // no reason for a valid message
	}{
		{"empty", "", "message: not a JSON object"},
		{"white space", " \t\r\n", "message: not a JSON object"},
		{"white space around", "\r\n\t {\"type\":\"ping\"} \t\r\n", ""},
		{"byte order mark", "\ufeff{\"type\":\"ping\"}", "message: not a JSON object"},
		{"zero byte", "{\"type\":\"ping\"}\x00", "message: more follows the JSON object"},
		{"not UTF-8, text", send("\"\xff\""), "data: not valid JSON at byte 42"},
		{"not UTF-8, name", "{\"\xc0\x80\":1}", "message: not valid JSON at byte 2"},
		{"surrogate in UTF-8", "{\"type\":\"\xed\xa0\x80\"}", "type: not valid JSON at byte 9"},
		{"arrays at the limit", nested("[", "]", maxDepth-1), ""},
		{"arrays over the limit", nested("[", "]", maxDepth), "message: nested too deep"},
		{"objects at the limit", nested(`{"a":`, "}", maxDepth-1), ""},
		{"objects over the limit", nested(`{"a":`, "}", maxDepth), "message: nested too deep"},
		{"100,000 open arrays", strings.Repeat("[", 100_000), "message: nested too deep"},
		{"many arrays side by side", send("[" + strings.Repeat("[],", 1000) + "0]"), ""},
		{"brackets in strings", send(`"` + strings.Repeat(`[{\"\\`, 100) + `"`), ""},
		{"longest group", join(strings.Repeat("é", MaxGroup/2)), ""},
		{"group too long", join(strings.Repeat("é", MaxGroup/2) + "x"), "group: longer than 1024 bytes"},
		{"longest group, escaped", join(strings.Repeat(`\u0061`, MaxGroup)), ""},
		{"event name too long", `{"type":"event","data":0,"event":"` + strings.Repeat("e", 129) + `"}`, "event: not a valid name"},
		{"longest event name", `{"type":"event","data":0,"event":"` + strings.Repeat("e", 128) + `"}`, ""},
		{"huge number in data", send(strings.Repeat("1", 5000)), ""},
		{"huge number as ackId", `{"type":"ping","ackId":` + strings.Repeat("1", 5000) + `}`, "ackId: want an integer from 0 to 18446744073709551615"},
		{"huge type", `{"type":"` + strings.Repeat("p", 5000) + `"}`, `type: unknown value "` + strings.Repeat("p", 39) + `...`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decode(tt.msg)
			if err == nil && tt.reason != "" || err != nil && err.Error() != tt.reason {
				t.Errorf("got %v, want %q", err, tt.reason)
			}
		})
	}
}

// TestDecodeAnyOrder gives the properties of one message in every order.
func TestDecodeAnyOrder(t *testing.T) {
	properties := []string{`"type":"sendToGroup"`, `"group":"g"`, `"data":"AAEC"`, `"dataType":"binary"`, `"ackId":9`, `"noEcho":true`}
	want := `sendToGroup group="g" binary="\x00\x01\x02" noEcho ackId=9`
	var permute func(chosen, rest []string)
	permute = func(chosen, rest []string) {
		if len(rest) == 0 {
			msg := "{" + strings.Join(chosen, ",") + "}"
			req, err := decode(msg)
			if got := describeResult(&req, err); got != want {
				t.Fatalf("%s\n got %s\nwant %s", msg, got, want)
			}
		}
		for i, p := range rest {
			permute(append(slices.Clone(chosen), p), slices.Delete(slices.Clone(rest), i, i+1))
		}
	}
	permute(nil, properties)
}

// TestDecodeOnlyReads makes sure that a message is not changed, and that what
// is decoded does not depend on the memory of earlier messages.
func TestDecodeOnlyReads(t *testing.T) {
	var d Decoder
	for _, msg := range decodeVectors(t) {
		p := []byte(msg)
		var first, second Request
		err := JSONv1{}.Decode(&d, true, p, &first)
		if string(p) != msg {
			t.Fatalf("message changed\n got %s\nwant %s", p, msg)
		}
		want := describeResult(&first, err)
		clear(p) // as when the read buffer is used again

		other := []byte(`{"type":"sendToGroup","group":"\u006f","dataType":"binary","data":"\u0041AAA","ackId":1}`)
		if err := (JSONv1{}).Decode(&d, true, other, &second); err != nil {
			t.Fatalf("after %s: %v", msg, err)
		}
		if got := describeResult(&second, nil); got != `sendToGroup group="o" binary="\x00\x00\x00" ackId=1` {
			t.Fatalf("after %s: got %s", msg, got)
		}
		err = JSONv1{}.Decode(&d, true, []byte(msg), &first)
		if got := describeResult(&first, err); got != want {
			t.Fatalf("%s\n got %s\nwant %s", msg, got, want)
		}
	}
}

// TestDecodeSlicesAreApart makes sure that appending to one slice of a request
// cannot reach into another.
func TestDecodeSlicesAreApart(t *testing.T) {
	for _, data := range []string{`"text","data":"text"`, `"text","data":"\u0074ext"`, `"binary","data":"dGV4dA\u003d="`, `"json","data":1`} {
		for _, group := range []string{`"group"`, `"\u0067roup"`} {
			req, err := decode(fmt.Sprintf(`{"type":"sendToGroup","group":%s,"dataType":%s}`, group, data))
			if err != nil {
				t.Fatal(err)
			}
			if cap(req.Group) != len(req.Group) || cap(req.Data) != len(req.Data) {
				t.Errorf("%s: group %d of %d, data %d of %d", data, len(req.Group), cap(req.Group), len(req.Data), cap(req.Data))
			}
		}
	}
}

// TestReasonsFitACloseFrame checks the promise of Error.Reason.
func TestReasonsFitACloseFrame(t *testing.T) {
	messages := append(decodeVectors(t),
		`{"type":"`+strings.Repeat("é", 1000)+`"}`,
		`{"type":"sendToGroup","group":"g","data":1,"dataType":"`+strings.Repeat(`\u0000`, 1000)+`"}`,
		strings.Repeat(" ", 10_000)+"x")
	for _, msg := range messages {
		_, err := decode(msg)
		if err == nil {
			continue
		}
		reason := err.(*Error).Reason
		printable := strings.IndexFunc(reason, func(r rune) bool { return r < ' ' || r > '~' }) < 0
		if len(reason) > 123 || !printable {
			t.Errorf("%s: reason %q", msg, reason)
		}
	}
}

// TestAppendBehind makes sure that encoders leave alone what dst has already.
func TestAppendBehind(t *testing.T) {
	g := JSONv1{}
	m := &Message{Group: "g", DataType: Binary, Data: []byte("data")}
	for name, f := range map[string]func(dst []byte) []byte{
		"connected":    func(dst []byte) []byte { return g.AppendConnected(dst, &Connected{ConnectionID: "c", UserID: "u"}) },
		"disconnected": func(dst []byte) []byte { return g.AppendDisconnected(dst, "r", time.Second) },
		"ack":          func(dst []byte) []byte { return g.AppendAck(dst, 1, NotFound, "m") },
		"message":      func(dst []byte) []byte { return g.AppendMessage(dst, m) },
		"pong":         g.AppendPong,
		"request":      func(dst []byte) []byte { return g.AppendRequest(dst, &Request{Kind: Ping}) },
	} {
		t.Run(name, func(t *testing.T) {
			alone := f(nil)
			if !json.Valid(alone) {
				t.Errorf("not JSON: %s", alone)
			}
			if got := f([]byte("head")); !bytes.Equal(got, append([]byte("head"), alone...)) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	g := Grammar(JSONv1{})
	check := func(name string, f func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	var d Decoder
	var req Request
	for _, load := range decodeLoads {
		msg := []byte(load.msg)
		check("decode "+load.name, func() {
			if err := g.Decode(&d, true, msg, &req); err != nil {
				t.Fatal(err)
			}
		})
	}
	dst := make([]byte, 0, 4096)
	text := strings.Repeat("é\"\n😀x", 50)
	for _, dataType := range []DataType{JSON, Text, Binary} {
		m := &Message{Group: text, FromUser: text, DataType: dataType, Data: []byte(text)}
		check("message "+dataType.String(), func() { g.AppendMessage(dst, m) })
	}
	check("connected", func() { g.AppendConnected(dst, &Connected{ConnectionID: text, UserID: text}) })
	check("disconnected", func() { g.AppendDisconnected(dst, text, 0) })
	check("ack", func() { g.AppendAck(dst, 1<<63, Forbidden, text) })
	check("pong", func() { g.AppendPong(dst) })
}
