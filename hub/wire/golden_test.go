package wire

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// golden compares got with the file, or rewrites the file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	wants, gots := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range max(len(wants), len(gots)) {
		if i >= len(wants) || i >= len(gots) || wants[i] != gots[i] {
			t.Fatalf("%s:%d differs; look at the difference after go test -update\n got %s", file, i+1, strings.Join(gots[i:min(i+1, len(gots))], ""))
		}
	}
}

const decodeFile = "testdata/decode.txt"

// decodeVectors returns the messages of the golden file.
func decodeVectors(t testing.TB) (messages []string) {
	t.Helper()
	file, err := os.ReadFile(decodeFile)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(file)) {
		if msg, ok := strings.CutPrefix(line, "< "); ok {
			messages = append(messages, strings.TrimSuffix(msg, "\n"))
		}
	}
	return messages
}

func TestDecodeVectors(t *testing.T) {
	file, err := os.ReadFile(decodeFile)
	if err != nil {
		t.Fatal(err)
	}
	var d Decoder // one for all: nothing of a message may show in the next
	var req Request
	var got strings.Builder
	for line := range strings.Lines(string(file)) {
		if strings.HasPrefix(line, "> ") {
			continue
		}
		got.WriteString(line)
		if msg, ok := strings.CutPrefix(line, "< "); ok {
			err := JSONv1{}.Decode(&d, true, []byte(strings.TrimSuffix(msg, "\n")), &req)
			fmt.Fprintf(&got, "> %s\n", describeResult(&req, err))
		}
	}
	golden(t, decodeFile, got.String())
}

// describeResult is one line for people.
func describeResult(req *Request, err error) string {
	if err != nil {
		return fmt.Sprintf("error %d %s", err.(*Error).Code, err)
	}
	s := req.Kind.String()
	if req.Group != nil {
		s += fmt.Sprintf(" group=%q", req.Group)
	}
	if req.Event != nil {
		s += fmt.Sprintf(" event=%q", req.Event)
	}
	if req.Data != nil {
		s += fmt.Sprintf(" %s=%q", req.DataType, req.Data)
	}
	if req.NoEcho {
		s += " noEcho"
	}
	for _, p := range append(req.Metadata, req.State...) {
		s += fmt.Sprintf(" %s:%q", p.Key, p.Value)
	}
	for name, text := range map[string][]byte{
		"invocation": req.InvocationID, "token": req.Token, "key": req.ConflationKey, "stream": req.StreamID,
	} {
		if text != nil {
			s += fmt.Sprintf(" %s=%q", name, text)
		}
	}
	s += describeRest(req)
	if req.TTL > 0 {
		s += fmt.Sprintf(" ttl=%d", req.TTL)
	}
	if req.Kind == SequenceAck {
		s += fmt.Sprintf(" sequence=%d", req.SequenceID)
	}
	if req.Notices&TokenExpiring != 0 {
		s += " tokenExpiring"
	}
	if req.HasAck {
		s += fmt.Sprintf(" ackId=%d", req.AckID)
	}
	return s
}

// describeRest is that of what few messages have.
func describeRest(req *Request) (s string) {
	if req.Sequence > 0 {
		s += fmt.Sprintf(" part=%d", req.Sequence)
	}
	if req.IdleTimeout > 0 {
		s += fmt.Sprintf(" idle=%v", req.IdleTimeout)
	}
	if f := req.Failure; f != nil {
		s += fmt.Sprintf(" failure=%q,%q", f.Message, f.UserErrorCode)
	}
	if req.HasState {
		s += " hasState"
	}
	if req.Presence {
		s += " presence"
	}
	if h := req.History; h.Wanted {
		s += fmt.Sprintf(" history=%d,%d,%q", h.Last, h.Since, h.Epoch)
	}
	return s
}

func TestAppendVectors(t *testing.T) {
	g := JSONv1{}
	message := func(t DataType, data string) []byte {
		return g.AppendMessage(nil, &Message{Group: "g", FromUser: "alice", DataType: t, Data: []byte(data)})
	}
	streamMessage := func(data string, s *StreamInfo) []byte {
		return g.AppendMessage(nil, &Message{Group: "g", DataType: Text, Data: []byte(data), Stream: s})
	}
	var got strings.Builder
	for _, v := range []struct {
		name string
		msg  []byte
	}{
		{"connected", g.AppendConnected(nil, &Connected{ConnectionID: "c-1", UserID: "alice"})},
		{"connected, anonymous", g.AppendConnected(nil, &Connected{ConnectionID: "c-1"})},
		{"connected, reliable", JSONReliableV1{}.AppendConnected(nil, &Connected{ConnectionID: "c-1", ReconnectionToken: "t"})},
		{"message with metadata", g.AppendMessage(nil, &Message{Group: "g", DataType: Text, Data: []byte("x"), Metadata: []Pair{{[]byte("a"), []byte(`"`)}, {[]byte("b"), nil}}})},
		{"protobuf message", g.AppendMessage(nil, &Message{DataType: Protobuf, Data: []byte{1}})},
		{"numbered message", JSONReliableV1{}.AppendSequenceID(JSONReliableV1{}.AppendMessage(nil, &Message{DataType: JSON, Data: []byte("1")}), 7)},
		{"message with an offset", g.Offsets().AppendMessage(nil, &Message{Group: "g", DataType: JSON, Data: []byte("1"), Offset: 7})},
		{"message without an offset", g.AppendMessage(nil, &Message{Group: "g", DataType: JSON, Data: []byte("1"), Offset: 7})},
		{"numbered message with an offset", JSONReliableV1{}.AppendSequenceID(JSONReliableV1{}.Offsets().AppendMessage(nil, &Message{Group: "g", DataType: JSON, Data: []byte("1"), Offset: 7}), 8)},
		{"stream, a part", streamMessage("x", &StreamInfo{ID: "s", Sequence: 2})},
		{"stream, its end", streamMessage("", &StreamInfo{ID: "s", Sequence: 3, End: true})},
		{"stream, its end with an error", streamMessage("", &StreamInfo{ID: "s", Sequence: 3, End: true, Error: &StreamError{Name: UserError, Message: "m", UserErrorCode: "c"}})},
		{"stream, broken off", streamMessage("", &StreamInfo{ID: "s", Sequence: 3, End: true, Error: &StreamError{Name: IdleTimeout, Message: "m"}})},
		{"stream ack", g.AppendStreamAck(nil, "s", 1)},
		{"stream nack", g.AppendStreamNack(nil, "s", 4, InvalidSequenceID, "m")},
		{"stream closed", g.AppendStreamClosed(nil, "s", "", "")},
		{"stream closed, with an error", g.AppendStreamClosed(nil, "s", StreamNotFound, "m")},
		{"group state, all", g.AppendGroupState(nil, &GroupState{Group: "g", Snapshot: true, Items: []StateItem{
			{ConnectionID: "c-1", UserID: "alice", HasState: true, State: []Pair{{[]byte("mood"), []byte("\"good\"")}}, UpdatedAt: 1700000000000},
			{ConnectionID: "c-2", UpdatedAt: 1},
		}})},
		{"group state, nobody", g.AppendGroupState(nil, &GroupState{Group: "g", Snapshot: true})},
		{"group state, joined", g.AppendGroupState(nil, &GroupState{Group: "g", Items: []StateItem{{ConnectionID: "c-1", Event: MemberJoined}}})},
		{"group state, left", g.AppendGroupState(nil, &GroupState{Group: "g", Items: []StateItem{{ConnectionID: "c-1", Event: MemberLeft}}})},
		{"history", g.AppendHistory(nil, &HistoryInfo{Group: "g", Epoch: "e", Offset: 7, Complete: true})},
		{"disconnected", g.AppendDisconnected(nil, "node is \"draining\"", 0)},
		{"disconnected, come back later", g.AppendDisconnected(nil, "service restart", 3200*time.Millisecond)},
		{"disconnected, no reason", g.AppendDisconnected(nil, "", 0)},
		{"ack", g.AppendAck(nil, 1, "", "")},
		{"ack, largest id", g.AppendAck(nil, 1<<64-1, "", "")},
		{"ack, error", g.AppendAck(nil, 2, Forbidden, "no role for group g")},
		{"ack, error without message", g.AppendAck(nil, 3, InternalServerError, "")},
		{"pong", g.AppendPong(nil)},
		{"json", message(JSON, `{"b": 1.00, "a": 12345678901234567890}`)},
		{"text", message(Text, "a \"b\" \\ / <é> 😀\n\t\x00\x7f\u2028")},
		{"text, empty", message(Text, "")},
		{"text, not UTF-8", message(Text, "a\xffb")},
		{"binary", message(Binary, "\x00\x01\x02\xff")},
		{"binary, empty", message(Binary, "")},
		{"group name with quotes", g.AppendMessage(nil, &Message{Group: `"`, DataType: JSON, Data: []byte("1")})},
		{"request, join", g.AppendRequest(nil, &Request{Kind: JoinGroup, Group: []byte("g"), HasAck: true, AckID: 1})},
		{"request, send", g.AppendRequest(nil, &Request{Kind: SendToGroup, Group: []byte("g"), NoEcho: true, DataType: Text, Data: []byte("hi")})},
		{"request, event", g.AppendRequest(nil, &Request{Kind: Event, Event: []byte("e"), DataType: JSON, Data: []byte("[]")})},
		{"request, ping", g.AppendRequest(nil, &Request{Kind: Ping})},
	} {
		fmt.Fprintf(&got, "# %s\n%s\n", v.name, v.msg)
	}
	golden(t, "testdata/append.txt", got.String())
}
