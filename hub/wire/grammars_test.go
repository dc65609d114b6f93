package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// binaryGrammar is one of the grammars whose messages are binary.
type binaryGrammar interface {
	Grammar
	AppendRequest(dst []byte, req *Request) []byte
}

var binaryGrammars = []binaryGrammar{MsgpackV1{}, ProtobufV1{}}

// goodRequests are the requests of the golden file that are accepted, and some
// with bytes that JSON has no way to write.
func goodRequests(t testing.TB) (all []Request) {
	t.Helper()
	for _, msg := range decodeVectors(t) {
		var d Decoder // one for each: requests refer to it
		var req Request
		if (JSONv1{}).Decode(&d, true, []byte(msg), &req) == nil {
			all = append(all, req)
		}
	}
	long := bytes.Repeat([]byte{0, 0xff, 0xc0}, 30_000)
	for _, data := range [][]byte{nil, {0}, long[:200], long} {
		all = append(all, Request{Kind: SendToGroup, Group: []byte("g"), Data: data, DataType: Binary, HasData: true},
			Request{Kind: Event, Event: []byte("e"), Data: data, DataType: Protobuf, HasData: true, HasAck: true, AckID: 1<<64 - 1})
	}
	return all
}

// TestSameRequests: whatever a client can say in JSON it can say in each grammar,
// and it means the same.
func TestSameRequests(t *testing.T) {
	for _, g := range binaryGrammars {
		var d Decoder
		for _, want := range goodRequests(t) {
			msg := g.AppendRequest([]byte("before")[:6:6], &want)[6:]
			before := bytes.Clone(msg)
			var got Request
			if err := g.Decode(&d, false, msg, &got); err != nil {
				t.Errorf("%s: %s: %v\n%s", g.Name(), describeResult(&want, nil), err, hex.Dump(msg))
				continue
			}
			if !bytes.Equal(msg, before) {
				t.Fatal("the message was changed")
			}
			compareRequests(t, &got, &want)
			for n := range msg {
				if len(msg) < 1000 {
					_ = g.Decode(&d, false, msg[:n], &got) // cut short: no panic
				}
			}
		}
	}
}

// downstream are the messages of a node, as a grammar writes them.
func downstream(g Grammar) map[string][]byte {
	stream := &StreamInfo{ID: "s", Sequence: 3, End: true, Error: &StreamError{Name: UserError, Message: "m", UserErrorCode: "c"}}
	state := []Pair{{[]byte("mood"), []byte("\"good\"")}, {[]byte("é"), nil}}
	all := map[string][]byte{
		"connected":           g.AppendConnected(nil, &Connected{ConnectionID: "c-1", UserID: "alice", ReconnectionToken: "t"}),
		"connected anonymous": g.AppendConnected(nil, &Connected{ConnectionID: "c-1"}),
		"disconnected":        g.AppendDisconnected(nil, "service restart", 3200*time.Millisecond),
		"disconnected at all": g.AppendDisconnected(nil, "", 0),
		"token expiring":      g.AppendTokenExpiring(nil, 30*time.Second),
		"ack":                 g.AppendAck(nil, 1<<64-1, "", ""),
		"ack error":           g.AppendAck(nil, 2, Forbidden, "no role"),
		"pong":                g.AppendPong(nil),
		"stream ack":          g.AppendStreamAck(nil, "s", 1),
		"stream nack":         g.AppendStreamNack(nil, "s", 300, InvalidSequenceID, "m"),
		"stream closed":       g.AppendStreamClosed(nil, "s", "", ""),
		"stream closed error": g.AppendStreamClosed(nil, "s", StreamNotFound, "m"),
		"invoked":             g.AppendInvokeResponse(nil, &InvokeResponse{InvocationID: "i", DataType: Text, Data: []byte("x")}),
		"invoked error":       g.AppendInvokeResponse(nil, &InvokeResponse{InvocationID: "i", Error: InternalServerError, ErrorMessage: "m"}),
		"states": g.AppendGroupState(nil, &GroupState{Group: "g", Snapshot: true, Items: []StateItem{
			{ConnectionID: "c-1", UserID: "alice", HasState: true, State: state, UpdatedAt: 1700000000000}, {ConnectionID: "c-2", UpdatedAt: 1}}}),
		"state of nobody": g.AppendGroupState(nil, &GroupState{Group: "g", Snapshot: true}),
		"joined":          g.AppendGroupState(nil, &GroupState{Group: "g", Items: []StateItem{{ConnectionID: "c-1", UpdatedAt: 1, Event: MemberJoined}}}),
		"history":         g.AppendHistory(nil, &HistoryInfo{Group: "g", Epoch: "e", Offset: 70_000, Complete: true}),
	}
	for name, m := range map[string]Message{
		"server":     {DataType: Text, Data: []byte("é")},
		"group":      {Group: "g", FromUser: "alice", DataType: Text, Data: []byte("hi"), Offset: 9},
		"metadata":   {Group: "g", DataType: Text, Metadata: state[:1]},
		"stream":     {Group: "g", DataType: Text, Data: []byte("x"), Stream: stream},
		"long text":  {Group: strings.Repeat("g", 300), DataType: Text, Data: bytes.Repeat([]byte("x"), 70_000)},
		"not UTF-8":  {Group: "g\xff", DataType: Text, Data: []byte("a\xffb")},
		"with quote": {Group: `"`, DataType: Text, Data: []byte(`\"`)},
	} {
		all["message "+name] = finish(g, &m)
		all["message with offset "+name] = finish(g.Offsets(), &m)
	}
	return all
}

// finish is a message with data as its receivers get it.
func finish(g Grammar, m *Message) []byte {
	dst := g.AppendMessage(nil, m)
	if s, ok := g.(Sequenced); ok {
		dst = s.AppendSequenceID(dst, 300)
	}
	return dst
}

// TestMsgpackSaysTheSame: a library reads from each MessagePack message what
// encoding/json reads from the JSON message.
func TestMsgpackSaysTheSame(t *testing.T) {
	for _, pair := range [][2]Grammar{{MsgpackV1{}, JSONv1{}}, {MsgpackReliableV1{}, JSONReliableV1{}}} {
		wants := downstream(pair[1])
		for name, msg := range downstream(pair[0]) {
			var got map[string]any
			if err := msgpack.Unmarshal(msg, &got); err != nil {
				t.Errorf("%s: %v\n%s", name, err, hex.Dump(msg))
				continue
			}
			text, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			var want any
			if err := json.Unmarshal(wants[name], &want); err != nil {
				t.Fatal(err)
			}
			wantText, _ := json.Marshal(want)
			if fmt.Sprint(string(text)) != string(normal(t, wantText)) {
				t.Errorf("%s:\ngot  %s\nwant %s", name, text, wantText)
			}
		}
	}
}

// normal writes numbers as the other side does.
func normal(t *testing.T, text []byte) []byte {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	text, _ = json.Marshal(whole(v))
	return text
}

func whole(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = whole(v[k])
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case json.Number:
		if f, err := v.Float64(); err == nil && f < 1<<53 {
			return int64(f)
		}
		return uint64(1<<64 - 1)
	}
	return v
}

// TestMsgpackData: each kind of data arrives as a library understands it.
func TestMsgpackData(t *testing.T) {
	for _, tt := range []struct {
		kind DataType
		data string
		want any
	}{
		{JSON, `{"b": 1.00}`, `{"b": 1.00}`}, {Text, "é", "é"}, {Binary, "\x00\xff", []byte{0, 0xff}}, {Protobuf, "\x0a\x00", []byte{0x0a, 0}},
	} {
		var got struct {
			Data     any    `msgpack:"data"`
			DataType string `msgpack:"dataType"`
		}
		if err := msgpack.Unmarshal(MsgpackV1{}.AppendMessage(nil, &Message{DataType: tt.kind, Data: []byte(tt.data)}), &got); err != nil {
			t.Fatal(err)
		}
		if got.DataType != tt.kind.String() || fmt.Sprintf("%T %v", got.Data, got.Data) != fmt.Sprintf("%T %v", tt.want, tt.want) {
			t.Errorf("%s: got %s %#v", tt.kind, got.DataType, got.Data)
		}
	}
}

// TestMsgpackFromALibrary: what a client's library writes is understood, whichever
// form it chooses for a number.
func TestMsgpackFromALibrary(t *testing.T) {
	for name, m := range map[string]map[string]any{
		"small":       {"type": "sendToGroup", "group": "g", "dataType": "text", "data": "hi", "ackId": 7},
		"other forms": {"type": "SENDTOGROUP", "group": "g", "dataType": "Text", "data": "hi", "ackId": int64(7), "noEcho": false, "x": []any{1.5, nil, map[string]any{"y": -1}}, "ttlSeconds": nil},
		"time":        {"type": "sendToGroup", "group": "g", "dataType": "text", "data": "hi", "ackId": uint16(7), "at": time.Unix(1, 5)},
	} {
		msg, err := msgpack.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var d Decoder
		var req Request
		if err := (MsgpackV1{}).Decode(&d, false, msg, &req); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		compareRequests(t, &req, &Request{Kind: SendToGroup, Group: []byte("g"), DataType: Text, Data: []byte("hi"), HasData: true, HasAck: true, AckID: 7})
	}
}

func TestBinaryRefusals(t *testing.T) {
	deep := append(bytes.Repeat([]byte{0x91}, 70), 0xc0)
	for _, tt := range []struct {
		g    Grammar
		msg  string
		want string
	}{
		{MsgpackV1{}, "", "message: not a MessagePack map"},
		{MsgpackV1{}, "\xc0", "message: not a MessagePack map"},
		{MsgpackV1{}, "\xc1", "message: not a MessagePack map"},
		{MsgpackV1{}, "\x80", "type: missing"},
		{MsgpackV1{}, "\x80\x80", "message: more follows the map"},
		{MsgpackV1{}, "\x81", "message: not valid MessagePack"},
		{MsgpackV1{}, "\xdf\xff\xff\xff\xff", "message: not valid MessagePack"},
		{MsgpackV1{}, "\x81\x01\x01", "message: want strings as names, got an integer"},
		{MsgpackV1{}, "\x81\xa4type\x07", "type: want a string, got an integer"},
		{MsgpackV1{}, "\x81\xa4type\xa2\xff\xfe", "type: a string that is not UTF-8"},
		{MsgpackV1{}, "\x82\xa4type\xa4ping\xa4type\xa4ping", "type: given twice"},
		{MsgpackV1{}, "\x82\xa4type\xa4ping\xa5ackId\xff", "ackId: want an integer from 0 to 18446744073709551615"},
		{MsgpackV1{}, "\x82\xa4type\xa4ping\xa1x" + string(deep), "message: nested too deep"},
		{MsgpackV1{}, "\x83\xa4type\xa5event\xa5event\xa1e\xa4data\xa1{", "data: not one JSON value"},
		{MsgpackV1{}, "\x84\xa4type\xa5event\xa5event\xa1e\xa8dataType\xa6binary\xa4data\xa1x", "data: want binary, got a string"},
		{MsgpackV1{}, "\x83\xa4type\xa9joinGroup\xa5group\xa1g\xa7history\x01", "history: want a map, got an integer"},
		{MsgpackV1{}, "\x84\xa4type\xabsendToGroup\xa5group\xa1g\xa6noEcho\x01\xa4data\xa11", "noEcho: want a boolean, got an integer"},
		{MsgpackV1{}, "\x84\xa4type\xabsendToGroup\xa5group\xa1g\xa8metadata\x81\xa1k\x01\xa4data\xa11", "metadata: want strings as values, got an integer"},
		{ProtobufV1{}, "", "message: no request that is known here"},
		{ProtobufV1{}, "\x10\x01", "message: no request that is known here"},
		{ProtobufV1{}, "\x0a", "message: not valid Protobuf"},
		{ProtobufV1{}, "\x00", "message: not valid Protobuf"},
		{ProtobufV1{}, "\x48\x01", "message: want a message, got another wire type"},
		{ProtobufV1{}, "\x4a\x00\x32\x00", "message: more than one request"},
		{ProtobufV1{}, "\x32\x00", "group: empty"},
		{ProtobufV1{}, "\x32\x03\x0a\x01\xff", "group: a string that is not UTF-8"},
		{ProtobufV1{}, "\x32\x02\x08\x01", "group: want a string, got another wire type"},
		{ProtobufV1{}, "\x32\x05\x0a\x01g\x12\x00", "ackId: want an integer from 0 to 18446744073709551615"},
		{ProtobufV1{}, "\x0a\x03\x0a\x01g", "data: missing"},
		{ProtobufV1{}, "\x0a\x08\x0a\x01g\x1a\x03\x22\x01{", "data: not one JSON value"},
		{ProtobufV1{}, "\x0a\x0a\x0a\x01g\x1a\x02\x0a\x00\x28\xad\x02", "ttlSeconds: want an integer from 0 to 300"},
		{ProtobufV1{}, "\x2a\x06\x0a\x01 \x12\x01\x0a", "data: not valid Protobuf"},
	} {
		var d Decoder
		var req Request
		err := tt.g.Decode(&d, false, []byte(tt.msg), &req)
		if e := (*Error)(nil); !errors.As(err, &e) || e.Reason != tt.want || e.Code != codeInvalidPayload {
			t.Errorf("%s %q: got %v, want %s", tt.g.Name(), tt.msg, err, tt.want)
		}
		if err := tt.g.Decode(&d, true, []byte(tt.msg), &req); err != errWantsBinary {
			t.Errorf("%s in text: %v", tt.g.Name(), err)
		}
	}
}

func TestBinaryDecodeDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, g := range binaryGrammars {
		for _, want := range []Request{
			{Kind: SendToGroup, Group: []byte("room"), DataType: JSON, Data: []byte(`{"a":[1,2]}`), HasAck: true, AckID: 7, TTL: 5, Metadata: []Pair{{[]byte("k"), []byte("v")}}},
			{Kind: JoinGroup, Group: []byte("room"), History: History{Wanted: true, Last: 5}},
			{Kind: Ping},
		} {
			want.HasData = want.Kind == SendToGroup
			msg := g.AppendRequest(nil, &want)
			var d Decoder
			var req Request
			if n := testing.AllocsPerRun(100, func() {
				if err := g.Decode(&d, false, msg, &req); err != nil {
					t.Fatal(err)
				}
			}); n > 0 {
				t.Errorf("%s: %v allocations to decode %s", g.Name(), n, want.Kind)
			}
		}
		m := &Message{Group: "room", FromUser: "alice", DataType: JSON, Data: []byte(`{"a":1}`), Metadata: []Pair{{[]byte("k"), []byte("v")}}}
		buf := make([]byte, 0, 512)
		if n := testing.AllocsPerRun(100, func() { g.AppendMessage(buf, m) }); n > 0 {
			t.Errorf("%s: %v allocations to append a message", g.Name(), n)
		}
	}
}

// fuzzBinary checks that what is accepted means the same when it is written again,
// in this grammar and in JSON.
func fuzzBinary(f *testing.F, g binaryGrammar) {
	for _, req := range goodRequests(f) {
		if len(req.Data) < 1000 {
			f.Add(g.AppendRequest(nil, &req))
		}
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		before := bytes.Clone(msg)
		var d, again Decoder
		var req, back Request
		if g.Decode(&d, false, msg, &req) != nil {
			return
		}
		if !bytes.Equal(msg, before) {
			t.Fatal("message changed")
		}
		if err := g.Decode(&again, false, g.AppendRequest(nil, &req), &back); err != nil {
			t.Fatalf("%s: %v", describeResult(&req, nil), err)
		}
		compareRequests(t, &back, &req)
		text := JSONv1{}.AppendRequest(nil, &req)
		if err := (JSONv1{}).Decode(&again, true, text, &back); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	})
}

func FuzzDecodeMsgpack(f *testing.F)  { fuzzBinary(f, MsgpackV1{}) }
func FuzzDecodeProtobuf(f *testing.F) { fuzzBinary(f, ProtobufV1{}) }
